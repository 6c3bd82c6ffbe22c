"""Every fault has the effect in docs/simulator.md, and a line in the log."""

import asyncio
import io
import time
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.simulator.process import ENDPOINT, Client
from tests.simulator.receiver import Receiver
from tests.support.eventually import eventually


@pytest.mark.parametrize(
    ("marker", "status", "retry_after"),
    [
        ("submit_429=7", 429, "7"),
        ("submit_500", 500, None),
        ("submit_503", 503, None),
        ("reject", 422, None),
    ],
)
async def test_a_refused_submit_leaves_no_job(
    client: Client, marker: str, status: int, retry_after: str | None
) -> None:
    prompt = f"turned away [sim:{marker}]"
    answer = await client.submit(prompt)

    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    kinds = [entry["kind"] for entry in await client.log() if entry["prompt"] == prompt]
    assert kinds == ["fault_fired", "submit_rejected"]
    jobs = (await client.http.get("/_sim/jobs")).json()["jobs"]
    assert prompt not in [job["prompt"] for job in jobs]


async def test_a_rejection_is_a_content_policy_violation(client: Client) -> None:
    prompt = "refused at once [sim:reject]"
    detail = (await client.submit(prompt)).json()["detail"][0]

    assert (detail["type"], detail["loc"]) == ("content_policy_violation", ["body", "prompt"])
    assert detail["input"] == {"prompt": prompt}


@pytest.mark.parametrize(("marker", "refusals"), [("submit_429", 1), ("submit_503,times=2", 2)])
async def test_a_once_fault_alternates(client: Client, marker: str, refusals: int) -> None:
    prompt = f"again and again [sim:{marker}]"
    accepted = [(await client.submit(prompt)).status_code == 200 for _ in range(2 * refusals + 2)]

    assert accepted == [*[False] * refusals, True] * 2


async def test_a_lost_response_leaves_an_accepted_job(client: Client, receiver: Receiver) -> None:
    prompt = "cut off [sim:lost_answer]"
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await client.submit(prompt, receiver.url())

    received = await receiver.first()
    request_id = received.headers["x-fal-webhook-request-id"]
    assert await client.fired(request_id) == ["lost_answer"]
    assert [entry["prompt"] for entry in await client.log(request_id, "submit_accepted")] == [prompt]


async def test_submit_latency_delays_the_client(client: Client) -> None:
    started = time.monotonic()
    await client.submitted("hold the line [sim:submit_latency=0.7]")

    assert time.monotonic() - started >= 0.7


async def test_latency_is_how_long_the_job_takes(client: Client) -> None:
    handle = await client.submitted("thorough [sim:latency=1]")
    jobs = (await client.http.get("/_sim/jobs")).json()["jobs"]

    (job,) = [job for job in jobs if job["request_id"] == handle["request_id"]]
    assert job["ends_at"] - job["created_at"] == pytest.approx(1)
    assert job["faults"] == ["latency"]


async def test_a_hanging_job_never_ends(client: Client, receiver: Receiver) -> None:
    handle = await client.submitted("stuck [sim:hang]", receiver.url("/stuck"))
    await client.completed(await client.submitted("not stuck"))
    jobs = (await client.http.get("/_sim/jobs")).json()["jobs"]

    (job,) = [job for job in jobs if job["request_id"] == handle["request_id"]]
    assert (job["ends_at"], job["webhook"]) == (None, None)
    assert (await client.http.get(handle["status_url"])).status_code == 202


@pytest.mark.parametrize(
    ("marker", "status", "error", "error_type"),
    [
        ("moderation", 422, "Invalid status code: 422", None),
        ("fail", 500, "Invalid status code: 500", None),
        ("completed_with_error", 503, "Runner disconnected", "runner_disconnected"),
        ("completed_with_error=request_timeout", 504, "Request timed out", "request_timeout"),
    ],
)
async def test_a_failure_is_completed_with_an_error(
    client: Client, receiver: Receiver, marker: str, status: int, error: str, error_type: str | None
) -> None:
    handle = await client.submitted(f"comes to nothing [sim:{marker}]", receiver.url())
    completed = await client.completed(handle)
    result = await client.http.get(handle["response_url"])
    webhook = await receiver.first()

    assert (completed["error"], completed.get("error_type")) == (error, error_type)
    assert (result.status_code, result.headers.get("x-fal-error-type")) == (status, error_type)
    reported = httpx.Response(200, content=webhook.body).json()
    assert (reported["status"], reported["error"], reported["payload"]) == ("ERROR", error, result.json())
    assert await client.fired(handle["request_id"]) == [marker.partition("=")[0]]


@pytest.mark.parametrize(
    ("marker", "kind"), [("moderation", "content_policy_violation"), ("fail", "internal_server_error")]
)
async def test_a_model_error_names_its_type(client: Client, marker: str, kind: str) -> None:
    result = await client.result(await client.submitted(f"typed [sim:{marker}]"))

    assert [detail["type"] for detail in result.json()["detail"]] == [kind]


async def test_an_unsafe_image_is_black_and_flagged(client: Client) -> None:
    body = (await client.result(await client.submitted("oops [sim:nsfw]"))).json()
    file = await client.http.get(body["images"][0]["url"])

    assert body["has_nsfw_concepts"] == [True]
    assert Image.open(io.BytesIO(file.content)).getextrema() == ((0, 0),) * 3


async def test_an_empty_result_has_no_images(client: Client) -> None:
    result = await client.result(await client.submitted("nothing [sim:empty_result]", num_images=2))

    assert (result.status_code, result.json()["images"]) == (200, [])


async def test_an_unknown_status_ends_well(client: Client) -> None:
    handle = await client.submitted("new word [sim:unknown_status=PAUSED][sim:latency=0.8]")
    seen = []
    while "COMPLETED" not in seen:
        seen.append((await client.http.get(handle["status_url"])).json()["status"])

    assert list(dict.fromkeys(seen)) == ["IN_QUEUE", "PAUSED", "COMPLETED"]


@pytest.mark.parametrize(("marker", "status"), [("status_429=3", 429), ("status_500", 500)])
async def test_a_status_request_fails_once(client: Client, marker: str, status: int) -> None:
    handle = await client.submitted(f"ask again [sim:{marker}]")
    answers = [await client.http.get(handle["status_url"]) for _ in range(2)]

    assert answers[0].status_code == status
    assert answers[0].headers.get("retry-after") == ("3" if status == 429 else None)
    assert answers[1].status_code in (200, 202)


async def test_an_ignored_cancel_still_ends_in_an_image(client: Client, receiver: Receiver) -> None:
    handle = await client.submitted("too stubborn [sim:ignore_cancel][sim:latency=0.6]", receiver.url())
    answer = await client.http.put(handle["cancel_url"])

    assert answer.status_code == 202
    assert b'"status":"OK"' in (await receiver.first()).body
    assert (await client.result(handle)).status_code == 200


@pytest.mark.parametrize(
    ("marker", "statuses"),
    [("expired_url", [403, 200]), ("expired_url=2,status=404", [404, 404, 200])],
)
async def test_an_expired_address_is_replaced_by_asking_again(
    client: Client, marker: str, statuses: list[int]
) -> None:
    handle = await client.submitted(f"gone [sim:{marker}]")
    seen = []
    for _ in statuses:
        url = (await client.result(handle)).json()["images"][0]["url"]
        seen.append((await client.http.get(url)).status_code)

    assert seen == statuses


async def test_the_address_in_a_webhook_is_the_first_to_be_dead(client: Client, receiver: Receiver) -> None:
    handle = await client.submitted("gone already [sim:expired_url]", receiver.url())
    reported = httpx.Response(200, content=(await receiver.first()).body).json()
    fresh = (await client.result(handle)).json()

    urls = [body["images"][0]["url"] for body in (reported["payload"], fresh)]
    assert [(await client.http.get(url)).status_code for url in urls] == [403, 200]


async def test_a_truncated_body_is_cut_before_its_announced_end(client: Client) -> None:
    url = await _file_url(client, "cut [sim:truncated_body]")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        await client.http.get(url)


async def test_a_truncated_body_without_a_length_looks_whole(client: Client) -> None:
    file = await client.http.get(await _file_url(client, "halved [sim:truncated_body=none]"))

    assert (file.status_code, "content-length" in file.headers) == (200, False)
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(file.content)).load()


async def test_wrong_bytes_claim_to_be_an_image(client: Client) -> None:
    file = await client.http.get(await _file_url(client, "not an image [sim:wrong_bytes]"))

    assert (file.status_code, file.headers["content-type"]) == (200, "image/jpeg")
    assert file.content.startswith(b"<!doctype html>")


async def test_a_slow_body_drips_but_is_whole(client: Client) -> None:
    url = await _file_url(client, "drip [sim:slow_body=0.8]")
    started = time.monotonic()
    file = await client.http.get(url)

    assert time.monotonic() - started >= 0.7
    Image.open(io.BytesIO(file.content)).load()


async def test_several_markers_work_together(client: Client, receiver: Receiver) -> None:
    prompt = "a bad day [sim:submit_429] [sim:moderation] [sim:duplicate_webhook]"
    assert (await client.submit(prompt, receiver.url())).status_code == 429
    handle = await client.submitted(prompt, receiver.url())
    await eventually(lambda: len(receiver.received) == 2)

    assert await client.fired(handle["request_id"]) == ["moderation", "duplicate_webhook"]


async def test_a_rule_applies_to_matches_as_often_as_requested(client: Client) -> None:
    await client.put_fault("reject", match={"prompt": "active", "endpoint": ENDPOINT}, times=2)
    other_endpoint = await client.http.post("/fal-ai/flux/dev", json={"prompt": "active"})
    prompts = ("active one", "spared", "one active", "active but too late")
    statuses = [(await client.submit(prompt)).status_code for prompt in prompts]

    assert other_endpoint.status_code == 200
    assert statuses == [422, 200, 422, 200]
    assert (await client.http.get("/_sim/faults")).json()["faults"] == [
        {"match": {"prompt": "active", "endpoint": ENDPOINT}, "fault": "reject", "times": 2, "fired": 2}
    ]


async def test_a_rule_carries_its_values(client: Client) -> None:
    await client.put_fault("submit_429", match={"prompt": "limited"}, retry_after=9, times=None)
    answers = [await client.submit("limited") for _ in range(3)]

    assert [answer.headers["retry-after"] for answer in answers] == ["9"] * 3


async def test_a_rule_for_files_applies_to_finished_jobs(client: Client) -> None:
    url = await _file_url(client, "whole at first")
    await client.put_fault("wrong_bytes", times=1)
    files = [await client.http.get(url) for _ in range(2)]

    assert [file.content.startswith(b"<!doctype") for file in files] == [True, False]


async def test_cleared_rules_no_longer_apply(client: Client) -> None:
    await client.put_fault("reject", match={"prompt": "forgiven"})
    await client.http.delete("/_sim/faults")

    assert (await client.submit("forgiven")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"fault": "nonsense"},
        {"fault": 5},
        {},
        [],
        {"fault": "latency", "seconds": "long"},
        {"fault": "latency", "seconds": -1},
        {"fault": "latency", "minutes": 1},
        {"fault": "reject", "times": 0},
        {"fault": "reject", "match": {"model": "x"}},
        {"fault": "reject", "match": {"prompt": 5}},
    ],
)
async def test_a_rule_that_makes_no_sense_is_422(client: Client, body: Any) -> None:
    answer = await client.http.put("/_sim/faults", json=body)

    assert answer.status_code == 422
    assert (await client.http.get("/_sim/faults")).json() == {"faults": []}


async def test_a_burst_is_accepted_and_every_webhook_comes_once(client: Client, receiver: Receiver) -> None:
    handles = await asyncio.gather(*(client.submitted(f"burst {n}", receiver.url()) for n in range(200)))
    await eventually(lambda: len(receiver.received) >= 200)

    reported = sorted(received.headers["x-fal-webhook-request-id"] for received in receiver.received)
    assert reported == sorted(handle["request_id"] for handle in handles)


async def _file_url(client: Client, prompt: str) -> str:
    result = await client.result(await client.submitted(prompt))
    return str(result.json()["images"][0]["url"])
