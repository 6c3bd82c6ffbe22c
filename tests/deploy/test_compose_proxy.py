"""deploy/proxy/compose.conf: what it bounds, what it passes on and what it hides.

`deploy/try-images` asks a running one.
"""

import re
import subprocess
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.app import build_app
from composition import ServiceSettings
from composition.api import body_limits
from tests.deploy.compose_file import ROOT, Service
from tests.support.time_limits import scaled

CONFIG = re.sub(r"^\s*#.*$", "", (ROOT / "deploy/proxy/compose.conf").read_text(), flags=re.MULTILINE)


def directives(name: str) -> list[str]:
    return re.findall(rf"^\s*{name}\s+(.+?);$", CONFIG, re.MULTILINE)


def server(port: int) -> str:
    [body] = re.findall(
        rf"^    server \{{\n(        listen {port} .*?)^    \}}", CONFIG, re.MULTILINE | re.DOTALL
    )
    return str(body)


def upstream(name: str) -> dict[str, str]:
    [body] = re.findall(rf"^    upstream {name} \{{\n(.*?)^    \}}", CONFIG, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^\s*(\w+) (.+?);$", body, re.MULTILINE))


@pytest.mark.parametrize(("name", "value"), [("client_header_timeout", "5s"), ("client_body_timeout", "10s")])
def test_a_connection_that_says_nothing_ends(name: str, value: str) -> None:
    assert directives(name) == [value]


def test_an_address_has_as_many_requests_as_in_the_api(settings: dict[str, ServiceSettings]) -> None:
    assert directives("limit_conn_zone") == ["$binary_remote_addr zone=addresses:10m"]
    assert directives("limit_conn") == [f"addresses {settings['api'].api_max_connections_per_address}"]


def test_its_connections_have_their_descriptors() -> None:
    [descriptors], [connections] = directives("worker_rlimit_nofile"), directives("worker_connections")

    assert int(descriptors) >= 2 * int(connections)


@pytest.mark.parametrize("name", ["api", "minio"])
def test_connections_are_used_again_and_given_up_before_the_other_side_does_that(name: str) -> None:
    found = upstream(name)

    assert found["server"].endswith(" resolve")
    assert "zone" in found
    assert int(found["keepalive"]) > 0
    assert int(found["keepalive_timeout"].removesuffix("s")) < uvicorn.Config(app="").timeout_keep_alive
    assert directives("proxy_http_version") == ["1.1"]
    assert dict(value.split(maxsplit=1) for value in directives("proxy_set_header"))["Connection"] == '""'


def start(folder: Path, variables: dict[str, str]) -> list[str]:
    """Run deploy/proxy/start.sh with `folder` as /tmp; return the limits of descriptors that nginx gets."""
    script = (ROOT / "deploy/proxy/start.sh").read_text().replace("/tmp/", f"{folder}/")  # noqa: S108
    nginx = folder / "nginx"
    nginx.write_text("#!/bin/sh\nulimit -S -n\nulimit -H -n\n")
    nginx.chmod(0o755)
    done = subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", f"ulimit -S -n 64\n{script}"],
        env={"PATH": f"{folder}:/usr/bin:/bin"} | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=scaled(10),
    )
    return done.stdout.split()


def test_it_begins_with_all_descriptors_that_it_may_have(tmp_path: Path) -> None:
    soft, hard = start(tmp_path, {})

    assert soft == hard


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (None, ""),
        ("", ""),
        ("10.0.0.5", "set_real_ip_from 10.0.0.5;\n"),
        ("10.0.0.5, fd00::/64", "set_real_ip_from 10.0.0.5;\nset_real_ip_from fd00::/64;\n"),
    ],
)
def test_only_proxies_that_are_named_may_say_who_a_client_is(
    given: str | None, written: str, tmp_path: Path
) -> None:
    [included] = directives("include")

    start(tmp_path, {} if given is None else {"TLS_PROXIES": given})

    assert (tmp_path / Path(included).name).read_text() == written
    assert directives("real_ip_header") == ["X-Forwarded-For"]
    assert directives("real_ip_recursive") == ["on"]
    assert not directives("set_real_ip_from")


def test_a_client_cannot_say_who_it_is() -> None:
    passed_on = dict(value.split(maxsplit=1) for value in directives("proxy_set_header"))

    assert passed_on["X-Forwarded-For"] == "$remote_addr"
    assert passed_on["Forwarded"] == '""'
    assert "proxy_add_x_forwarded_for" not in CONFIG


def test_headers_are_set_once_for_all() -> None:
    """In a location that sets one, nginx forgets those from above."""
    for port in (8000, 9000):
        assert "proxy_set_header" not in server(port)


def test_a_body_that_the_api_takes_gets_there(settings: dict[str, ServiceSettings]) -> None:
    [size] = directives("client_max_body_size")
    api = settings["api"]
    largest = max(api.max_body_bytes, api.max_input_bytes, api.max_batch_file_bytes)

    assert int(size.removesuffix("m")) * 1024**2 > largest


def test_what_is_for_operators_is_a_route_and_is_hidden(settings: dict[str, ServiceSettings]) -> None:
    app = build_app(body_limits(settings["api"]))

    hidden = re.findall(r"location = (\S+) \{ return 404; \}", server(8000))

    assert set(hidden) == {"/metrics", str(app.url_path_for("readyz"))}


def test_of_the_store_only_the_buckets_objects_are_read(settings: dict[str, ServiceSettings]) -> None:
    locations = re.findall(r"location (\S+) \{", server(9000))

    assert locations == [f"/{settings['api'].s3_bucket}/", "/"]
    assert "location / { return 404; }" in server(9000)
    assert "limit_except GET { deny all; }" in server(9000)


def test_it_leads_to_the_services_as_the_others_do(settings: dict[str, ServiceSettings]) -> None:
    api = settings["api"]

    for port, url in ((8000, api.callback_base_url), (9000, api.s3_endpoint)):
        [name] = re.findall(r"proxy_pass http://(\w+);", server(port))
        target = upstream(name)["server"].removesuffix(" resolve")
        assert httpx.URL(f"http://{target}") == httpx.URL(url)


def test_it_listens_where_its_ports_are_published(compose: dict[str, Service]) -> None:
    published = {int(port.rsplit(":", 1)[1]) for port in compose["proxy"]["ports"]}

    assert {int(port) for port in re.findall(r"listen (\d+) default_server;", CONFIG)} == published


def test_no_link_is_logged() -> None:
    [log_format] = directives("log_format")

    assert "$uri" in CONFIG
    assert not re.search(
        r"\$(request|request_uri|args|query_string|http_referer|http_authorization)\b", CONFIG
    ), log_format


def test_it_writes_only_where_it_may() -> None:
    paths = [*directives(r"\w+_temp_path"), *directives("pid")]

    assert len(paths) == 6
    assert all(path.startswith("/tmp/") for path in paths)  # noqa: S108 - inside a container
