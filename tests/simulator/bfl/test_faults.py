"""Every fault of Black Forest Labs, also of its webhooks, has the effect in docs/simulator.md."""

import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from simulator.bfl.webhooks import signature
from tests.simulator.bfl.account import BflAccount
from tests.simulator.receiver import Receiver
from tests.support.eventually import eventually

SECRET = "a-secret-of-this-job"  # noqa: S105


@pytest.mark.parametrize(
    ("marker", "status"),
    [("submit_402", 402), ("submit_500", 500), ("submit_502", 502), ("submit_503", 503), ("reject", 422)],
)
async def test_a_refused_submit_leaves_no_task(bfl_account: BflAccount, marker: str, status: int) -> None:
    prompt = f"turned away [sim:{marker}]"
    response = await bfl_account.submit(prompt)
    jobs = (await bfl_account.http.get("/_sim/jobs")).json()["jobs"]

    assert (response.status_code, "detail" in response.json()) == (status, True)
    assert prompt not in [job["prompt"] for job in jobs]


async def test_throttling_says_so_in_the_body(bfl_account: BflAccount) -> None:
    answers = [await bfl_account.submit("too many [sim:submit_429=7]") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [429, 200]
    assert answers[0].json()["retry_after"] == 7


async def test_a_lost_response_leaves_a_running_task(bfl_account: BflAccount) -> None:
    prompt = "cut off [sim:lost_answer]"
    with pytest.raises(httpx.RemoteProtocolError):
        await bfl_account.submit(prompt)
    jobs = (await bfl_account.http.get("/_sim/jobs")).json()["jobs"]

    assert [job["prompt"] for job in jobs].count(prompt) == 1


@pytest.mark.parametrize(
    ("marker", "status", "details"),
    [
        ("moderation", "Content Moderated", {"Moderation Reasons": ["The output was flagged."]}),
        ("moderation=input", "Request Moderated", {"Moderation Reasons": ["The input was flagged."]}),
        ("fail", "Error", {"error": "The task failed."}),
        ("ends_as=Failed", "Failed", {"error": "The task failed."}),
    ],
)
async def test_a_task_without_an_image_says_why(
    bfl_account: BflAccount, marker: str, status: str, details: Any
) -> None:
    ended = await bfl_account.ended(await bfl_account.submitted(f"in vain [sim:{marker}]"))

    assert (ended["status"], ended["result"], ended["details"]) == (status, None, details)


@pytest.mark.parametrize(
    ("marker", "status"), [("unknown_status", "Reasoning"), ("unknown_status=Pondering", "Pondering")]
)
async def test_an_unknown_status_ends_well(bfl_account: BflAccount, marker: str, status: str) -> None:
    task = await bfl_account.submitted(f"new word [sim:{marker}][sim:latency=0.4]")
    first = (await bfl_account.poll(task)).json()

    assert first["status"] == status
    assert (await bfl_account.ended(task))["status"] == "Ready"


@pytest.mark.parametrize(
    ("marker", "status"),
    [("status_429", 429), ("status_500", 500), ("task_not_found", 404), ("task_not_found=200", 200)],
)
async def test_a_poll_fails_once(bfl_account: BflAccount, marker: str, status: int) -> None:
    task = await bfl_account.submitted(f"look again [sim:{marker}]")
    first = await bfl_account.poll(task)

    assert first.status_code == status
    assert (first.json().get("status") == "Task not found") is marker.startswith("task_not_found")
    assert (await bfl_account.ended(task))["status"] == "Ready"


async def test_bad_samples(bfl_account: BflAccount) -> None:
    dead = await bfl_account.submitted("gone [sim:expired_url]")
    html = await bfl_account.submitted("not an image [sim:wrong_bytes]")
    none = await bfl_account.submitted("none [sim:empty_result]")

    statuses = [(await bfl_account.sample(dead)).status_code for _ in range(2)]
    assert statuses == [403, 200]
    assert (await bfl_account.sample(html)).content.startswith(b"<!doctype html>")
    assert (await bfl_account.ended(none))["result"]["sample"] is None


def test_the_signature_is_the_one_of_the_documentation() -> None:
    body = b'{"request_id":"r-1","gateway_request_id":"r-1","status":"OK","payload":{"images":[]}}'

    expected = "sha256=6c7fcfd6a4cc053de2a85505b19c0b4d93ac0923706f5fe106fcf6ce1ab2fa7c"
    assert signature("test-secret", body) == expected


async def test_a_webhook_is_signed_with_the_requests_own_secret(
    bfl_account: BflAccount, receiver: Receiver
) -> None:
    given = {"webhook_url": receiver.url(), "webhook_secret": SECRET}
    task = await bfl_account.submitted("tell me", **given)
    received = await receiver.first()

    body = json.loads(received.body)
    digest = hmac.new(SECRET.encode(), received.body, hashlib.sha256).hexdigest()
    assert received.headers["x-bfl-signature"] == f"sha256={digest}"
    assert (body["id"], body["status"], body["result"].keys()) == (
        task["id"],
        "Ready",
        {"sample", "prompt", "seed"},
    )
    assert (await bfl_account.http.get(body["result"]["sample"])).status_code == 200


@pytest.mark.parametrize(
    ("marker", "error"), [("moderation", "content_policy_violation"), ("fail", "generation_failed")]
)
async def test_a_webhook_reports_a_failure(
    bfl_account: BflAccount, receiver: Receiver, marker: str, error: str
) -> None:
    await bfl_account.submitted(f"in vain [sim:{marker}]", webhook_url=receiver.url())
    body = json.loads((await receiver.first()).body)

    assert (body["status"], body["error"]) == ("Error", error)


@pytest.mark.parametrize("marker", ["", "[sim:unsigned_webhook]"])
async def test_a_webhook_may_come_unsigned(bfl_account: BflAccount, receiver: Receiver, marker: str) -> None:
    given = {"webhook_secret": SECRET} if marker else {}
    await bfl_account.submitted(f"unsigned {marker}", webhook_url=receiver.url(), **given)

    assert "x-bfl-signature" not in (await receiver.first()).headers


async def test_a_forged_webhook_has_a_signature_that_is_wrong(
    bfl_account: BflAccount, receiver: Receiver
) -> None:
    given = {"webhook_url": receiver.url(), "webhook_secret": SECRET}
    await bfl_account.submitted("forged [sim:forged_webhook]", **given)
    received = await receiver.first()

    digest = hmac.new(SECRET.encode(), received.body, hashlib.sha256).hexdigest()
    assert received.headers["x-bfl-signature"].startswith("sha256=")
    assert received.headers["x-bfl-signature"] != f"sha256={digest}"


async def test_early_delayed_and_duplicate_webhooks(bfl_account: BflAccount, receiver: Receiver) -> None:
    await bfl_account.submitted(
        "early [sim:early_webhook][sim:latency=60]", webhook_url=receiver.url("/early")
    )
    assert len(receiver.of("/early")) == 1
    task = await bfl_account.submitted(
        "late, twice [sim:delay_webhook=0.6][sim:duplicate_webhook]", webhook_url=receiver.url("/late")
    )
    await bfl_account.ended(task)
    before = len(receiver.of("/late"))
    await eventually(lambda: len(receiver.of("/late")) == 2)

    assert before == 0


async def test_a_dropped_webhook_is_never_sent(bfl_account: BflAccount, receiver: Receiver) -> None:
    task = await bfl_account.submitted("silence [sim:drop_webhook]", webhook_url=receiver.url())
    await eventually(lambda: bfl_account.fired(task["id"]))
    await bfl_account.submitted("after it", webhook_url=receiver.url("/after"))
    await receiver.first("/after")

    assert receiver.of("/hook") == []
