"""Gemini's generateContent request by request, and each fault as it looks on the wire."""

import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.simulator.pictures import opened, plain, sha256
from tests.simulator.process import KEY, Client
from tests.simulator.synchronous import kinds, leave_while_it_works, log_entry, running

FLASH, PRO, OLD = "gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-2.5-flash-image"
PNG = plain((9, 99, 9))


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with running("gemini", tmp_path_factory.mktemp("gemini"), {"x-goog-api-key": KEY}) as client:
        yield client


@pytest.fixture
async def client(shared: Client) -> AsyncIterator[Client]:
    yield shared
    await shared.http.delete("/_sim/faults")


def _path(model: str) -> str:
    return f"/v1beta/models/{model}:generateContent"


def _small(prompt: str, *parts: dict[str, Any], **config: Any) -> dict[str, Any]:
    settings = {"imageConfig": {"imageSize": "512"}, **config}
    return {"contents": [{"parts": [{"text": prompt}, *parts]}], "generationConfig": settings}


async def _generate(client: Client, prompt: str, *parts: dict[str, Any], **config: Any) -> httpx.Response:
    return await client.http.post(_path(FLASH), json=_small(prompt, *parts, **config))


def _inline(content: bytes, mime_type: str = "image/png") -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": b64encode(content).decode()}}


def _picture(answer: httpx.Response) -> str:
    parts = answer.json()["candidates"][0]["content"]["parts"]
    return str(parts[-1]["inlineData"]["data"])


async def test_a_response_has_the_documented_fields(client: Client) -> None:
    answer = await _generate(client, "documented")

    body = answer.json()
    assert body.keys() == {"candidates", "usageMetadata", "modelVersion", "responseId"}
    (candidate,) = body["candidates"]
    assert (candidate["index"], candidate["finishReason"]) == (0, "STOP")
    usage = body["usageMetadata"]
    counted = usage["promptTokenCount"] + usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    assert (usage["totalTokenCount"], usage["candidatesTokenCount"]) == (counted, 747)
    done = await log_entry(client, "documented", "generation_done")
    assert (done["request_id"], done["images"], done["charged"]) == (body["responseId"], 1, True)
    assert opened(_picture(answer)).size == (512, 512)


async def test_names_with_underscores_are_accepted(client: Client) -> None:
    data = b64encode(PNG).decode()
    body = {
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "snake"}, {"inline_data": {"mime_type": "image/png", "data": data}}],
            }
        ],
        "generation_config": {"image_config": {"aspect_ratio": "1:1", "image_size": "512"}},
    }
    answer = await client.http.post(_path(FLASH), json=body)

    assert answer.status_code == 200, answer.text
    accepted = await log_entry(client, "snake", "submit_accepted")
    assert [each["sha256"] for each in accepted["inputs"]] == [sha256(PNG)]


async def test_base64_may_use_either_alphabet(client: Client) -> None:
    content = plain((251, 255, 190), (97, 101), "jpeg")
    standard, for_urls = b64encode(content).decode(), urlsafe_b64encode(content).decode()
    parts = [{"inlineData": {"mimeType": "image/jpeg", "data": data}} for data in (standard, for_urls)]
    answer = await _generate(client, "two alphabets", *parts)

    assert (answer.status_code, standard == for_urls) == (200, False)
    accepted = await log_entry(client, "two alphabets", "submit_accepted")
    assert [each["sha256"] for each in accepted["inputs"]] == [sha256(content)] * 2


@pytest.mark.parametrize(
    ("model", "config"),
    [
        (FLASH, {"candidateCount": 2}),
        (FLASH, {"imageConfig": {"imageSize": "1k"}}),
        (FLASH, {"imageConfig": {"imageSize": "512px"}}),
        (FLASH, {"imageConfig": {"aspectRatio": "7:5"}}),
        (FLASH, {"imageConfig": {"outputMimeType": "image/png"}}),
        (FLASH, {"responseModalities": ["VIDEO"]}),
        (FLASH, {"responseFormat": "url"}),
        (PRO, {"imageConfig": {"imageSize": "512"}}),
        (PRO, {"imageConfig": {"aspectRatio": "1:8"}}),
        (OLD, {"imageConfig": {"imageSize": "2K"}}),
    ],
)
async def test_what_it_cannot_draw_is_an_invalid_argument(
    client: Client, model: str, config: dict[str, Any]
) -> None:
    body = {"contents": [{"parts": [{"text": "x"}]}], "generationConfig": config}
    answer = await client.http.post(_path(model), json=body)

    assert answer.status_code == 400
    assert answer.json()["error"].keys() >= {"code", "message", "status"}
    assert (answer.json()["error"]["code"], answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"contents": []},
        {"contents": [{"parts": []}]},
        {"contents": [{"parts": [{"text": ""}]}]},
        {"contents": [{"parts": [{"text": "x [sim:nonsense]"}]}]},
        {"contents": [{"parts": [{"text": "x [sim:stream_error]"}]}]},
        {"contents": [{"parts": [{"text": "x"}]}], "prompt": "x"},
    ],
)
async def test_a_request_that_makes_no_sense_is_400(client: Client, body: Any) -> None:
    answer = await client.http.post(_path(FLASH), json=body)

    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "part",
    [
        _inline(b"<html>"),
        _inline(PNG[: len(PNG) // 2]),
        _inline(PNG, "image/gif"),
        {"inlineData": {"mimeType": "image/png", "data": "not base64!"}},
    ],
)
async def test_inputs_are_really_decoded(client: Client, part: dict[str, Any]) -> None:
    assert (await _generate(client, "decode", part)).status_code == 400


@pytest.mark.parametrize(("model", "most"), [(OLD, 3), (FLASH, 14), (PRO, 14)])
async def test_each_model_takes_only_so_many_inputs(client: Client, model: str, most: int) -> None:
    statuses = []
    for count in (most, most + 1):
        parts = [{"text": "crowded"}, *[_inline(PNG)] * count]
        answer = await client.http.post(_path(model), json={"contents": [{"parts": parts}]})
        statuses.append(answer.status_code)

    assert statuses == [200, 400]


async def test_a_file_it_does_not_have_is_forbidden(client: Client) -> None:
    part = {"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/files/a"}}

    assert (await _generate(client, "file", part)).status_code == 403


async def test_a_body_over_twenty_megabytes_is_refused(client: Client) -> None:
    answer = await client.http.post(_path(FLASH), content=b" " * 20_971_521)

    assert answer.status_code == 400


async def test_an_unknown_model_is_404(client: Client) -> None:
    answer = await client.http.post(_path("gemini-9"), json={})

    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 403),
        ({"x-goog-api-key": "wrong"}, "", 400),
        ({}, "?key=wrong", 400),
        ({}, f"?key={KEY}", 200),
    ],
)
async def test_the_key_comes_in_a_header_or_in_the_address(
    client: Client, headers: dict[str, str], query: str, status: int
) -> None:
    async with httpx.AsyncClient(base_url=client.http.base_url, headers=headers, trust_env=False) as stranger:
        answer = await stranger.post(_path(FLASH) + query, json=_small("let me in"))

    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"


async def test_text_alone_where_no_picture_is_wanted(client: Client) -> None:
    answer = await _generate(client, "tell me", responseModalities=["TEXT"])

    parts = answer.json()["candidates"][0]["content"]["parts"]
    assert [part.keys() for part in parts] == [{"text"}]


async def test_a_refusal_for_now_says_when_to_come_back(client: Client) -> None:
    answer = await _generate(client, "later [sim:submit_429=17]")

    (detail,) = answer.json()["error"]["details"]
    assert answer.status_code == 429
    assert detail == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}


async def test_an_empty_result_is_a_stop_without_parts(client: Client) -> None:
    answer = await _generate(client, "none [sim:empty_result]", responseModalities=["IMAGE"])

    assert answer.json()["candidates"][0]["content"]["parts"] == []
    assert (await log_entry(client, "none [sim:empty_result]", "generation_done"))["charged"] is False


async def test_wrong_bytes_are_base64_of_a_page(client: Client) -> None:
    answer = await _generate(client, "a page [sim:wrong_bytes]")

    with pytest.raises(OSError, match="cannot identify"):
        opened(_picture(answer))


async def test_not_json_is_a_page_with_200(client: Client) -> None:
    answer = await _generate(client, "a page at all [sim:not_json]")

    assert (answer.status_code, answer.content.startswith(b"<!doctype")) == (200, True)


async def test_a_huge_body_announces_no_length(client: Client) -> None:
    answer = await _generate(client, "padded [sim:huge_body=3]")

    assert (len(answer.content) > 3_000_000, "content-length" in answer.headers) == (True, False)


async def test_a_truncated_body_is_cut_and_charged(client: Client) -> None:
    prompt = "cut [sim:truncated_body]"
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        await _generate(client, prompt)

    assert (await log_entry(client, prompt, "generation_done"))["charged"] is True


async def test_a_truncated_body_without_a_length_is_half_a_json(client: Client) -> None:
    answer = await _generate(client, "halved [sim:truncated_body=none]")

    with pytest.raises(json.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize("marker", ["latency=0.6", "submit_latency=0.6", "slow_body=0.7"])
async def test_it_can_be_slow(client: Client, marker: str) -> None:
    started = time.monotonic()
    answer = await _generate(client, f"wait [sim:{marker}]")

    assert time.monotonic() - started >= 0.6
    opened(_picture(answer))


async def test_a_lost_response_was_done_and_charged(client: Client) -> None:
    prompt = "lost [sim:lost_answer]"
    with pytest.raises(httpx.RemoteProtocolError):
        await _generate(client, prompt)

    assert await kinds(client, prompt) == ["fault_fired", "submit_accepted", "generation_done", "answer_lost"]
    assert (await log_entry(client, prompt, "generation_done"))["charged"] is True


@pytest.mark.parametrize(("marker", "is_done"), [("latency=1", True), ("hang", False)])
async def test_what_is_done_is_charged_though_its_client_left(
    client: Client, marker: str, is_done: bool
) -> None:
    prompt = f"left [sim:{marker}]"
    await leave_while_it_works(client, _path(FLASH), _small(prompt))

    assert (await log_entry(client, prompt, "answer_lost"))["by"] == "client"
    assert ("generation_done" in await kinds(client, prompt)) is is_done


async def test_a_rule_can_match_a_model(client: Client) -> None:
    await client.put_fault("submit_503", match={"endpoint": OLD}, times=1)
    body = {"contents": [{"parts": [{"text": "ruled"}]}]}
    statuses = [(await client.http.post(_path(model), json=body)).status_code for model in (FLASH, OLD, OLD)]

    assert statuses == [200, 503, 200]
