"""deploy/proxy/compose.conf: what it bounds, what it passes on and what it hides.

`deploy/try-images` asks a running one.
"""

import re

import httpx
import pytest

from api.app import build_app
from composition import ServiceSettings
from composition.api import body_limits
from tests.deploy.compose_file import ROOT, Service

CONFIG = re.sub(r"^\s*#.*$", "", (ROOT / "deploy/proxy/compose.conf").read_text(), flags=re.MULTILINE)


def directives(name: str) -> list[str]:
    return re.findall(rf"^\s*{name}\s+(.+?);$", CONFIG, re.MULTILINE)


def server(port: int) -> str:
    [body] = re.findall(
        rf"^    server \{{\n(        listen {port} .*?)^    \}}", CONFIG, re.MULTILINE | re.DOTALL
    )
    return str(body)


@pytest.mark.parametrize("name", ["client_header_timeout", "client_body_timeout"])
def test_a_connection_that_says_nothing_ends(name: str) -> None:
    assert directives(name) == ["10s"]


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
    largest = max(settings["api"].max_body_bytes, settings["api"].max_input_bytes)

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
        [target] = re.findall(r"set \$\w+ (\S+);", server(port))
        assert httpx.URL(target) == httpx.URL(url)


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
