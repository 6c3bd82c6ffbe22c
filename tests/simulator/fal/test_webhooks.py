"""Webhooks: signed as by fal, and sent until they are delivered."""

import hashlib
import json
import time
from base64 import urlsafe_b64decode

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from simulator.fal.webhooks import Signer
from tests.simulator.process import Client
from tests.simulator.receiver import Received, Receiver
from tests.support.eventually import eventually


async def _is_signed(client: Client, received: Received) -> bool:
    """Verify with the published key, by an implementation of its own."""
    keys = (await client.http.get("/.well-known/jwks.json")).json()["keys"]
    public_key = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(keys[0]["x"] + "="))
    names = ("x-fal-webhook-request-id", "x-fal-webhook-user-id", "x-fal-webhook-timestamp")
    lines = [*(received.headers[name] for name in names), hashlib.sha256(received.body).hexdigest()]
    try:
        public_key.verify(
            bytes.fromhex(received.headers["x-fal-webhook-signature"]), "\n".join(lines).encode()
        )
    except InvalidSignature:
        return False
    return True


def test_the_signature_is_fals() -> None:
    signer = Signer(bytes(range(32)))
    body = b'{"request_id":"r-1","gateway_request_id":"r-1","status":"OK","payload":{"images":[]}}'
    signature = signer.sign("r-1", "user-1", "1700000000", body)

    assert signer.jwks()["keys"][0]["x"] == "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
    assert signature == (
        "5cd8ce04c92f4e805b97e543a873038fefb917a7d9838a75bbfc2e3aa0f6fea0"
        "ace2686034701d3db705d7680b1990347b9b40b1655b2d59a3360ebba12d4f00"
    )


async def test_a_finished_job_sends_its_result_signed(client: Client, receiver: Receiver) -> None:
    handle = await client.submitted("to be delivered", receiver.url("/webhooks?token=a%20b"))
    received = await receiver.first("/webhooks?token=a%20b")

    body = json.loads(received.body)
    assert (body["status"], body["request_id"]) == ("OK", handle["request_id"])
    assert body["payload"] == (await client.result(handle)).json()
    assert received.headers["x-fal-webhook-request-id"] == handle["request_id"]
    assert received.headers["x-fal-webhook-user-id"] == "user-1"
    assert abs(int(received.headers["x-fal-webhook-timestamp"]) - time.time()) < 5
    assert await _is_signed(client, received)


async def test_a_refused_webhook_is_sent_again_with_the_same_body(client: Client, receiver: Receiver) -> None:
    receiver.statuses = [500, 404, 429]
    handle = await client.submitted("not at home", receiver.url())
    await eventually(lambda: len(receiver.received) == 4)

    entries = await eventually(lambda: _sent(client, handle["request_id"], 4))
    assert entries == [(500, "pending"), (404, "pending"), (429, "pending"), (204, "delivered")]
    assert len({received.body for received in receiver.received}) == 1


async def test_a_redirect_ends_the_delivery(client: Client, receiver: Receiver) -> None:
    receiver.statuses = [301]
    handle = await client.submitted("moved away", receiver.url())

    assert await eventually(lambda: _sent(client, handle["request_id"], 1)) == [(301, "failed")]


async def test_a_receiver_that_comes_back_gets_its_webhook(client: Client, receiver: Receiver) -> None:
    await receiver.stop()
    handle = await client.submitted("out for a moment", receiver.url())
    refused = await eventually(lambda: _sent(client, handle["request_id"], 1))
    await receiver.start()
    received = await receiver.first()

    assert refused[0] == (None, "pending")
    assert json.loads(received.body)["request_id"] == handle["request_id"]


async def test_the_retries_end(client: Client, receiver: Receiver) -> None:
    receiver.statuses = [503] * 20
    handle = await client.submitted("never at home", receiver.url())
    entries = await eventually(lambda: _sent(client, handle["request_id"], 7))

    assert entries == [(503, "pending")] * 6 + [(503, "failed")]


async def test_a_cancelled_job_sends_nothing(client: Client, receiver: Receiver) -> None:
    handle = await client.submitted("stopped [sim:latency=30]", receiver.url("/stopped"))
    await client.http.put(handle["cancel_url"])
    await client.submitted("later", receiver.url("/later"))
    await receiver.first("/later")

    jobs = (await client.http.get("/_sim/jobs")).json()["jobs"]
    assert [job["webhook"] for job in jobs if job["request_id"] == handle["request_id"]] == ["canceled"]
    assert receiver.of("/stopped") == []


async def test_a_duplicate_is_the_same_again(client: Client, receiver: Receiver) -> None:
    handle = await client.submitted("thrice [sim:duplicate_webhook=3]", receiver.url())
    entries = await eventually(lambda: _sent(client, handle["request_id"], 3))

    assert entries == [(204, "pending"), (204, "pending"), (204, "delivered")]
    assert len({received.body for received in receiver.received}) == 1
    assert len(receiver.received) == 3


async def test_an_early_webhook_comes_before_the_response(client: Client, receiver: Receiver) -> None:
    handle = await client.submitted("hasty [sim:early_webhook][sim:latency=60]", receiver.url())

    assert [json.loads(received.body)["request_id"] for received in receiver.received] == [
        handle["request_id"]
    ]
    assert (await client.http.get(handle["response_url"])).status_code == 200


async def test_a_delayed_webhook_comes_later_than_the_result(client: Client, receiver: Receiver) -> None:
    handle = await client.submitted("unhurried [sim:delay_webhook=1]", receiver.url())
    completed = await client.completed(handle)
    before = list(receiver.received)
    await receiver.first()

    assert (completed["status"], before) == ("COMPLETED", [])


@pytest.mark.parametrize(
    ("marker", "signed", "fresh", "ours"),
    [
        ("stale_webhook", True, False, True),
        ("forged_webhook", False, True, True),
        ("wrong_account", True, True, False),
    ],
)
async def test_a_webhook_can_be_wrong_in_one_way(
    client: Client, receiver: Receiver, marker: str, signed: bool, fresh: bool, ours: bool
) -> None:
    handle = await client.submitted(f"not to be trusted [sim:{marker}]", receiver.url())
    received = await receiver.first()

    age_seconds = time.time() - int(received.headers["x-fal-webhook-timestamp"])
    assert await _is_signed(client, received) is signed
    assert (age_seconds < 300) is fresh
    assert (received.headers["x-fal-webhook-user-id"] == "user-1") is ours
    assert await client.fired(handle["request_id"]) == [marker]


async def test_a_dropped_webhook_is_never_sent(client: Client, receiver: Receiver) -> None:
    handle = await client.submitted("silence [sim:drop_webhook]", receiver.url())
    await eventually(lambda: client.fired(handle["request_id"]))
    await client.submitted("after it", receiver.url("/after"))
    await receiver.first("/after")

    assert receiver.of("/hook") == []
    assert (await client.result(handle)).status_code == 200


async def _sent(client: Client, request_id: str, count: int) -> list[tuple[int | None, str]] | None:
    entries = await client.log(request_id, "webhook_sent")
    return [(entry["status"], entry["state"]) for entry in entries] if len(entries) >= count else None
