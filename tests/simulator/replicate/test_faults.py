"""Every fault of Replicate has the effect in docs/simulator.md."""

import httpx
import pytest

from tests.simulator.receiver import Receiver
from tests.simulator.replicate.account import PRO, ReplicateAccount


@pytest.mark.parametrize(
    ("marker", "status", "title"),
    [
        ("submit_402", 402, "Insufficient credit"),
        ("submit_500", 500, "Internal server error"),
        ("submit_503", 503, "Service unavailable"),
        ("reject", 422, "Input validation failed"),
    ],
)
async def test_a_refused_create_leaves_no_prediction(
    replicate_account: ReplicateAccount, marker: str, status: int, title: str
) -> None:
    prompt = f"turned away [sim:{marker}]"
    response = await replicate_account.create(prompt)
    listed = (await replicate_account.http.get("/v1/predictions")).json()["results"]

    assert (response.status_code, response.json()["title"]) == (status, title)
    assert prompt not in [one["input"].get("prompt") for one in listed]


async def test_throttling_says_when_to_come_back(replicate_account: ReplicateAccount) -> None:
    answers = [await replicate_account.create("too many [sim:submit_429=30]") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [429, 201]
    assert answers[0].headers["retry-after"] == "30"
    assert answers[0].json() == {"detail": "Request was throttled. Your rate limit resets in ~30s."}


async def test_a_lost_response_leaves_a_prediction_in_the_list(replicate_account: ReplicateAccount) -> None:
    prompt = "cut off [sim:lost_answer]"
    with pytest.raises(httpx.RemoteProtocolError):
        await replicate_account.create(prompt)
    listed = (await replicate_account.http.get("/v1/predictions")).json()["results"]

    assert [one["input"]["prompt"] for one in listed].count(prompt) == 1


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("moderation", "flagged as sensitive. Please try again with different inputs. (E005)"),
        ("moderation=nsfw", "NSFW content detected"),
        ("fail", "(E1001)"),
        ("fail=E8765", "(E8765)"),
    ],
)
async def test_a_failed_prediction_says_why(
    replicate_account: ReplicateAccount, marker: str, text: str
) -> None:
    ended = await replicate_account.ended(await replicate_account.created(f"in vain [sim:{marker}]"))

    assert (ended["status"], ended["output"]) == ("failed", None)
    assert text in ended["error"]


async def test_fewer_images_than_asked_for(replicate_account: ReplicateAccount) -> None:
    fewer = await replicate_account.created("three [sim:partial_result]", num_outputs=4)
    none = await replicate_account.created("none [sim:empty_result]", num_outputs=4)
    no_address = await replicate_account.created("none [sim:empty_result]", PRO)
    outputs = [(await replicate_account.ended(one))["output"] for one in (fewer, none, no_address)]

    assert (len(outputs[0]), outputs[1], outputs[2]) == (3, [], None)


async def test_an_unknown_status_ends_well(replicate_account: ReplicateAccount) -> None:
    prediction = await replicate_account.created("new word [sim:unknown_status=pausing][sim:latency=0.8]")
    seen = [prediction]
    while seen[-1]["completed_at"] is None:
        seen.append(await replicate_account.now(prediction))

    assert list(dict.fromkeys(one["status"] for one in seen)) == ["starting", "pausing", "succeeded"]


@pytest.mark.parametrize(("marker", "status"), [("status_429=3", 429), ("status_500", 500)])
async def test_a_look_fails_once(replicate_account: ReplicateAccount, marker: str, status: int) -> None:
    prediction = await replicate_account.created(f"look again [sim:{marker}]")
    answers = [await replicate_account.http.get(prediction["urls"]["get"]) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [status, 200]
    assert answers[0].headers.get("retry-after") == ("3" if status == 429 else None)


async def test_an_ignored_cancel_still_ends_in_an_image(
    replicate_account: ReplicateAccount, receiver: Receiver
) -> None:
    prediction = await replicate_account.created(
        "stubborn [sim:ignore_cancel][sim:latency=0.6]", webhook=receiver.url()
    )
    answer = await replicate_account.http.post(prediction["urls"]["cancel"])
    await receiver.first()

    assert answer.json()["status"] in ("starting", "processing")
    assert (await replicate_account.ended(prediction))["status"] == "succeeded"


async def test_bad_files(replicate_account: ReplicateAccount) -> None:
    faults = ("expired_url", "expired_url=1,status=404", "wrong_bytes")
    predictions = [await replicate_account.created(f"bad [sim:{fault}]") for fault in faults]
    addresses = [(await replicate_account.ended(one))["output"][0] for one in predictions]
    files = [await replicate_account.http.get(address) for address in addresses]

    assert [file.status_code for file in files] == [403, 404, 200]
    assert files[2].content.startswith(b"<!doctype html>")
