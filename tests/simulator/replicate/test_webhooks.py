"""Replicate's webhooks: one message for each event, signed by the rules of Standard Webhooks."""

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from typing import Any

import pytest

from simulator.replicate.webhooks import Signer
from tests.simulator.receiver import Received, Receiver
from tests.simulator.replicate.account import ReplicateAccount
from tests.support.eventually import eventually

ALL = ["start", "output", "logs", "completed"]


async def _is_signed(account: ReplicateAccount, received: Received) -> bool:
    """Verify with the published secret, by an implementation of its own."""
    secret = (await account.http.get("/v1/webhooks/default/secret")).json()["key"]
    key = b64decode(secret.removeprefix("whsec_"))
    names = ("webhook-id", "webhook-timestamp")
    content = ".".join(received.headers[name] for name in names).encode() + b"." + received.body
    expected = "v1," + b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return expected in received.headers["webhook-signature"].split(" ")


def test_the_signature_is_that_of_standard_webhooks() -> None:
    signer = Signer(b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    signature = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')

    assert signer.secret == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - published, not a secret
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_every_event_is_a_message_of_its_own(
    replicate_account: ReplicateAccount, receiver: Receiver
) -> None:
    prediction = await replicate_account.created(
        "all of it [sim:latency=0.6]", webhook=receiver.url(), webhook_events_filter=ALL
    )
    await eventually(lambda: len(receiver.received) == 4)

    reported = [json.loads(received.body) for received in receiver.received]
    assert [(one["status"], one["output"] is not None) for one in reported] == [
        ("processing", False),
        ("processing", False),
        ("processing", True),
        ("succeeded", True),
    ]
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 4
    assert [await _is_signed(replicate_account, received) for received in receiver.received] == [True] * 4
    assert reported[-1] == await replicate_account.now(prediction)


async def test_without_a_filter_outputs_and_the_end_are_sent(
    replicate_account: ReplicateAccount, receiver: Receiver
) -> None:
    prediction = await replicate_account.created("by default", webhook=receiver.url())

    async def both_sent() -> list[dict[str, Any]] | None:
        log = await replicate_account.log(prediction["id"], "webhook_sent")
        return log if len(log) == 2 else None

    assert [entry["event"] for entry in await eventually(both_sent)] == ["output", "completed"]


@pytest.mark.parametrize("events", ["completed", ["finished"], [5]])
async def test_an_unknown_event_is_422(
    replicate_account: ReplicateAccount, receiver: Receiver, events: object
) -> None:
    response = await replicate_account.create("deaf", webhook=receiver.url(), webhook_events_filter=events)

    assert response.status_code == 422


async def test_an_impossible_address_is_422(replicate_account: ReplicateAccount) -> None:
    response = await replicate_account.create("nowhere", webhook="ftp://x/y")

    assert (response.status_code, response.json()["title"]) == (422, "Invalid webhook")


async def test_a_retry_keeps_id_and_body(replicate_account: ReplicateAccount, receiver: Receiver) -> None:
    receiver.statuses = [503]
    await replicate_account.created("again", webhook=receiver.url(), webhook_events_filter=["completed"])
    first, second = await eventually(lambda: receiver.received[:2] if len(receiver.received) > 1 else None)

    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert await _is_signed(replicate_account, second)


async def test_a_redirect_is_not_followed(replicate_account: ReplicateAccount, receiver: Receiver) -> None:
    receiver.statuses = [301]
    prediction = await replicate_account.created(
        "moved", webhook=receiver.url(), webhook_events_filter=["completed"]
    )
    entries = await eventually(lambda: replicate_account.log(prediction["id"], "webhook_sent"))

    assert [(entry["status"], entry["state"]) for entry in entries] == [(301, "failed")]


async def test_a_cancel_is_sent_at_once(replicate_account: ReplicateAccount, receiver: Receiver) -> None:
    prediction = await replicate_account.created("stop [sim:hang]", webhook=receiver.url())
    await replicate_account.http.post(prediction["urls"]["cancel"])
    received = await receiver.first()

    assert json.loads(received.body)["status"] == "canceled"


async def test_an_output_may_come_after_the_end(
    replicate_account: ReplicateAccount, receiver: Receiver
) -> None:
    await replicate_account.created("out of order [sim:late_output=0.5]", webhook=receiver.url())
    await eventually(lambda: len(receiver.received) == 2)

    assert [json.loads(one.body)["status"] for one in receiver.received] == ["succeeded", "processing"]


@pytest.mark.parametrize(
    ("marker", "signed", "fresh"), [("stale_webhook", True, False), ("forged_webhook", False, True)]
)
async def test_a_webhook_can_be_wrong_in_one_way(
    replicate_account: ReplicateAccount, receiver: Receiver, marker: str, signed: bool, fresh: bool
) -> None:
    await replicate_account.created(f"not to be trusted [sim:{marker}]", webhook=receiver.url())
    received = await receiver.first()

    assert await _is_signed(replicate_account, received) is signed
    assert (time.time() - int(received.headers["webhook-timestamp"]) < 300) is fresh


async def test_an_early_webhook_comes_before_the_response(
    replicate_account: ReplicateAccount, receiver: Receiver
) -> None:
    prediction = await replicate_account.created(
        "hasty [sim:early_webhook][sim:latency=60]",
        webhook=receiver.url(),
        webhook_events_filter=["completed"],
    )

    reported = [json.loads(received.body) for received in receiver.received]
    assert [(one["id"], one["status"]) for one in reported] == [(prediction["id"], "succeeded")]


async def test_duplicates_and_delays(replicate_account: ReplicateAccount, receiver: Receiver) -> None:
    prediction = await replicate_account.created(
        "twice, later [sim:duplicate_webhook][sim:delay_webhook=0.6]",
        webhook=receiver.url(),
        webhook_events_filter=["completed"],
    )
    await replicate_account.ended(prediction)
    before = len(receiver.received)
    await eventually(lambda: len(receiver.received) == 2)

    assert before == 0
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1


async def test_a_dropped_webhook_is_never_sent(
    replicate_account: ReplicateAccount, receiver: Receiver
) -> None:
    prediction = await replicate_account.created("silence [sim:drop_webhook]", webhook=receiver.url())
    await eventually(lambda: replicate_account.fired(prediction["id"]))
    await replicate_account.created("after it", webhook=receiver.url("/after"))
    await receiver.first("/after")

    assert receiver.of("/hook") == []
