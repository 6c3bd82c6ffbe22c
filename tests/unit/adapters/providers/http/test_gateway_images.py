"""Responses of gateways that are compatible with a provider with images in its response, on real sockets."""

import base64
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.providers.http.client import provider_client
from adapters.providers.http.error_mapping import ErrorMapping
from adapters.providers.http.inline_images import ParsedResponse, base64_images, map_error_response
from adapters.transport.http import HttpClient, Request, Response
from domain.errors import ProviderThrottled, ServiceError
from domain.provider import JobStatus, SyncResult
from tests.support.raw_server import always, answer, serving
from tests.unit.adapters.providers.inline_image_requests import IN_BASE64, PICTURES, asking, client_on

BODY = json.dumps({"images": IN_BASE64}).encode()
LONG_PICTURE = bytes(range(256)) * 8 + b"!"
LONG = base64.b64encode(LONG_PICTURE).decode()
ERRORS = {"429": ErrorMapping(ProviderThrottled)}


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with provider_client(max_response_bytes=None) as client:
        yield client


def parse(_headers: Mapping[str, str], body: Mapping[str, Any]) -> ParsedResponse:
    return ParsedResponse(None, body.get("images", ()))


def map_error(response: Response) -> ServiceError:
    return map_error_response(ERRORS, (), response, response.text)


async def received(http: HttpClient, reply: bytes, folder: Path, *, n: int = 3) -> SyncResult:
    async with serving(always(reply)) as server:
        request = Request("POST", server.origin, json={"n": n})
        client = client_on(http)
        return await client.send(request, asking("acme", n=n), folder, parse=parse, map_error=map_error)


IN_OTHER_FORMS = {
    "a data URI": f"data:image/png;base64,{LONG}",
    "for addresses": LONG.replace("+", "-").replace("/", "_"),
    "without padding": LONG.rstrip("="),
    "in lines": "\r\n".join(LONG[start : start + 76] for start in range(0, len(LONG), 76)),
}


@pytest.mark.parametrize("image", IN_OTHER_FORMS.values(), ids=IN_OTHER_FORMS)
async def test_base64_in_any_form_is_an_image(http: HttpClient, tmp_path: Path, image: str) -> None:
    body = json.dumps({"images": [image]}).encode()
    (file,) = (await received(http, answer(200, body), tmp_path, n=1)).files
    assert file.read_bytes() == LONG_PICTURE


@pytest.mark.parametrize(
    "reply",
    [
        answer(200, b"\xef\xbb\xbf" + BODY),
        answer(200, BODY[:-1] + b', "message": "\xff\xfe"}'),
        answer(200, gzip.compress(BODY), "Content-Encoding: gzip"),
        answer(200, BODY, "Content-Encoding: none"),
    ],
    ids=["byte order mark", "broken characters", "compressed", "a name for nothing"],
)
async def test_the_same_bytes_in_another_encoding_are_the_response(
    http: HttpClient, tmp_path: Path, reply: bytes
) -> None:
    found = await received(http, reply, tmp_path)
    assert [path.read_bytes() for path in found.files] == PICTURES


async def test_an_error_in_a_200_is_that_error(http: HttpClient, tmp_path: Path) -> None:
    for error in ({"code": 429}, {"code": "429"}, {"type": "rate_limit_exceeded"}, {"status": 429}):
        body = json.dumps({"error": error | {"message": "slow down"}}).encode()
        with pytest.raises(ProviderThrottled):
            await received(http, answer(200, body), tmp_path)


async def test_an_error_in_a_200_that_says_nothing_else_counts_as_charged(
    http: HttpClient, tmp_path: Path
) -> None:
    result = (await received(http, answer(200, b'{"error": "no hamster"}'), tmp_path)).result
    assert (result.status, result.does_not_charge) == (JobStatus.FAILED, False)
    assert "no hamster" in (result.provider_message or "")


async def test_an_error_beside_images_takes_none_away(http: HttpClient, tmp_path: Path) -> None:
    body = json.dumps({"images": IN_BASE64, "error": {"code": 429}}).encode()
    assert len((await received(http, answer(200, body), tmp_path)).files) == len(PICTURES)


@pytest.mark.parametrize(
    ("data", "images"),
    [
        ([{"b64_json": "QQ=="}], ["QQ=="]),
        ([{"b64Json": "QQ=="}], ["QQ=="]),
        ({"b64_json": "QQ=="}, ["QQ=="]),
        ([{"b64_json": None, "url": "data:image/png;base64,QQ=="}], ["data:image/png;base64,QQ=="]),
        ([{"url": "https://images.test/a.png"}], [None]),
        ([{"b64_json": 7}, None, "QQ=="], [None, None, None]),
        ("QQ==", [None]),
    ],
)
def test_images_are_found_in_other_shapes(data: object, images: list[str | None]) -> None:
    assert base64_images({"data": data}) == images
