"""Each fault of the OpenAI simulator as it looks on the wire."""

import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.simulator.openai.account import GENERATIONS, generate
from tests.simulator.pictures import opened
from tests.simulator.process import KEY, Client
from tests.simulator.synchronous import kinds, leave_while_it_works, log_entries, log_entry, running


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with running("openai", tmp_path_factory.mktemp("openai"), headers) as client:
        yield client


@pytest.fixture
async def client(shared: Client) -> AsyncIterator[Client]:
    yield shared
    await shared.http.delete("/_sim/faults")


@pytest.mark.parametrize(
    ("marker", "delivered"), [("fewer_images", 1), ("fewer_images=2", 2), ("empty_result", 0)]
)
async def test_fewer_images_than_asked_are_counted_as_delivered(
    client: Client, marker: str, delivered: int
) -> None:
    prompt = f"some [sim:{marker}]"
    body = (await generate(client, prompt, n=3)).json()

    assert len(body["data"]) == delivered
    assert (await log_entry(client, prompt, "generation_done"))["images"] == delivered


async def test_wrong_bytes_are_base64_of_a_page(client: Client) -> None:
    body = (await generate(client, "a page [sim:wrong_bytes]")).json()

    with pytest.raises(OSError, match="cannot identify"):
        opened(body["data"][0]["b64_json"])


async def test_not_json_is_a_page_with_200(client: Client) -> None:
    answer = await generate(client, "a page at all [sim:not_json]")

    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert answer.content.startswith(b"<!doctype")


async def test_a_huge_body_announces_no_length(client: Client) -> None:
    answer = await generate(client, "padded [sim:huge_body=3]")

    assert (len(answer.content) > 3_000_000, "content-length" in answer.headers) == (True, False)
    assert len(answer.json()["data"]) == 1


async def test_a_truncated_body_is_cut_before_its_announced_end(client: Client) -> None:
    prompt = "cut [sim:truncated_body]"
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        await generate(client, prompt)

    assert (await log_entry(client, prompt, "generation_done"))["charged"] is True


async def test_a_truncated_body_without_a_length_is_half_a_json(client: Client) -> None:
    answer = await generate(client, "halved [sim:truncated_body=none]")

    assert (answer.status_code, "content-length" in answer.headers) == (200, False)
    with pytest.raises(json.JSONDecodeError):
        answer.json()


async def test_a_slow_body_drips_but_is_whole(client: Client) -> None:
    started = time.monotonic()
    answer = await generate(client, "drip [sim:slow_body=0.8]")

    assert time.monotonic() - started >= 0.7
    opened(answer.json()["data"][0]["b64_json"])


@pytest.mark.parametrize(("marker", "seconds"), [("latency=0.6", 0.6), ("submit_latency=0.6", 0.6)])
async def test_latency_keeps_the_client_waiting(client: Client, marker: str, seconds: float) -> None:
    started = time.monotonic()
    answer = await generate(client, f"wait [sim:{marker}]")

    assert (answer.status_code, time.monotonic() - started >= seconds) == (200, True)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_lost_response_was_done_and_charged(client: Client, stream: bool) -> None:
    prompt = f"lost [sim:lost_answer] {stream}"
    with pytest.raises(httpx.RemoteProtocolError):
        await generate(client, prompt, stream=stream)

    assert await kinds(client, prompt) == ["fault_fired", "submit_accepted", "generation_done", "answer_lost"]
    done = await log_entry(client, prompt, "generation_done")
    assert (done["images"], done["charged"]) == (1, True)


async def test_what_hangs_ends_with_its_client_and_is_not_charged(client: Client) -> None:
    prompt = "stuck [sim:hang]"
    await leave_while_it_works(client, GENERATIONS, {"prompt": prompt})

    assert (await log_entry(client, prompt, "answer_lost"))["by"] == "client"
    assert "generation_done" not in await kinds(client, prompt)


@pytest.mark.parametrize(
    ("marker", "stream"), [("not_json", True), ("slow_body", True), ("stream_error", False)]
)
async def test_a_marker_that_could_do_nothing_is_refused(client: Client, marker: str, stream: bool) -> None:
    answer = await generate(client, f"idle [sim:{marker}]", stream=stream)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt")


async def test_a_stream_left_early_is_charged(client: Client) -> None:
    prompt = "left [sim:latency=1]"
    await leave_while_it_works(client, GENERATIONS, {"prompt": prompt, "stream": True})

    assert (await log_entry(client, prompt, "generation_done"))["charged"] is True
    assert (await log_entry(client, prompt, "answer_lost"))["by"] == "client"


async def test_stream_lines_are_events_with_json(client: Client) -> None:
    answer = await generate(client, "lines", stream=True)

    name, data, *rest = answer.text.split("\n")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (name, rest) == ("event: image_generation.completed", ["", ""])
    assert json.loads(data.removeprefix("data: "))["type"] == "image_generation.completed"


async def test_a_refusal_is_in_the_log(client: Client) -> None:
    prompt = "turned away [sim:submit_429=7]"
    answer = await generate(client, prompt)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    fired, rejected = await log_entries(client, prompt)
    assert (fired["fault"], fired["retry_after"]) == ("submit_429", 7)
    assert (rejected["kind"], rejected["status"], rejected["path"]) == ("submit_rejected", 429, GENERATIONS)
    assert rejected["endpoint"] == "gpt-image-2"


async def test_a_rule_can_match_a_model(client: Client) -> None:
    await client.put_fault("insufficient_quota", match={"endpoint": "gpt-image-1-mini"}, times=1)
    models = ("gpt-image-2", "gpt-image-1-mini", "gpt-image-1-mini")
    statuses = [
        (await generate(client, "ruled", model=model, size="1024x1024")).status_code for model in models
    ]

    assert statuses == [200, 429, 200]
