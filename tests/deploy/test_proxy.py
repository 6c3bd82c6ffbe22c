"""The proxy's configuration is what the API and the Docker Compose file expect."""

import re

import pytest
import uvicorn

from composition import ServiceSettings
from tests.deploy.compose_file import ROOT, Service

CONFIG = (ROOT / "deploy" / "proxy" / "nginx.conf").read_text()
UNITS = {"": 1, "s": 1, "k": 1024, "m": 1024**2}


def values(directive: str) -> list[str]:
    """Return the arguments of a directive, at each place where it stands."""
    return re.findall(rf"^\s*{directive}\s+([^;]+);", CONFIG, re.MULTILINE)


def upstream_values(directive: str) -> list[str]:
    return re.findall(rf"upstream \w+ \{{[^}}]*?\s{directive} ([^;]+);", CONFIG)


def amount(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([skm]?)", text).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]


def test_blocks_are_closed_and_directives_end() -> None:
    lines = [line.split("#")[0].strip() for line in CONFIG.splitlines()]
    assert CONFIG.count("{") == CONFIG.count("}")
    assert [line for line in lines if line and line[-1] not in "{};"] == []


@pytest.mark.parametrize("directive", ["client_header_timeout", "client_body_timeout", "send_timeout"])
def test_every_wait_for_a_client_is_bounded(directive: str, settings: dict[str, ServiceSettings]) -> None:
    [seconds] = map(amount, values(directive))
    assert seconds <= settings["api"].api_write_timeout_seconds


def test_the_proxy_is_not_more_patient_with_a_head_than_the_api(settings: dict[str, ServiceSettings]) -> None:
    assert amount(values("client_header_timeout")[0]) <= settings["api"].api_head_timeout_seconds


def test_connections_of_an_address_are_limited_as_in_the_api(settings: dict[str, ServiceSettings]) -> None:
    limits = [value.split() for value in values("limit_conn")]
    assert limits == [["addresses", str(settings["api"].api_max_connections_per_address)]]
    [zone] = values("limit_conn_zone")
    assert zone.split() == ["$binary_remote_addr", "zone=addresses:10m"]


def test_the_clients_address_is_set_and_nothing_of_the_client_is_passed_on() -> None:
    headers = dict(value.split(maxsplit=1) for value in values("proxy_set_header"))
    assert headers["X-Forwarded-For"] == "$remote_addr"
    assert headers["Forwarded"] == '""'
    assert "$proxy_add_x_forwarded_for" not in CONFIG


def test_headers_are_set_once_because_a_block_with_its_own_would_lose_them() -> None:
    indents = {len(line) - len(line.lstrip()) for line in CONFIG.splitlines() if "proxy_set_header" in line}
    assert indents == {4}


def test_what_an_upload_may_have_passes_the_proxy(settings: dict[str, ServiceSettings]) -> None:
    of_api, of_store = map(amount, values("client_max_body_size"))
    largest = max(settings["api"].max_input_bytes, settings["api"].max_batch_file_bytes)
    assert of_store < largest + 10_000 < of_api < 2 * largest


def test_it_leads_to_where_the_set_is_published(compose: dict[str, Service]) -> None:
    assert values("proxy_pass") == ["http://api", "http://store"]
    assert upstream_values("server") == [port.rpartition(":")[0] for port in compose["proxy"]["ports"]]


def test_connections_are_used_again_and_given_up_before_the_other_side_does_that() -> None:
    kept = [amount(value) for value in upstream_values("keepalive_timeout")]
    assert len(kept) == len(upstream_values("keepalive")) == 2
    assert max(kept) < uvicorn.Config(app="").timeout_keep_alive


def test_no_log_has_paths_which_hold_tokens_and_signatures() -> None:
    assert values("access_log") == ["off"]
    assert values("error_log") == ["stderr crit"]


def test_what_operators_read_is_not_passed_on() -> None:
    refused = re.findall(r"location = (\S+) \{\s*return 404;", CONFIG)
    assert {"/metrics", "/readyz"} == set(refused)


def test_it_runs_without_root_and_writes_to_one_folder() -> None:
    ports = [int(value.split()[0]) for value in values("listen")]
    written = values("pid") + values(r"\w+_temp_path")
    assert all(port > 1024 for port in ports)
    assert len(written) == 6
    assert all(path.startswith("/tmp/") for path in written)  # noqa: S108 - in the proxy's container
