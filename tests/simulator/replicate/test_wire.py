"""Replicate's predictions, request by request, as documented and in recorded traffic."""

import asyncio
import io
import re
import time
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.simulator.process import KEY, SimulatorProcess
from tests.simulator.replicate.account import KONTEXT, PRO, SCHNELL, ReplicateAccount


async def test_create_returns_201_with_the_prediction_and_the_rate(
    replicate_account: ReplicateAccount, replicate_simulator: SimulatorProcess
) -> None:
    response = await replicate_account.create("a lighthouse")
    body = response.json()

    address = f"{replicate_simulator.url}/v1/predictions/{body['id']}"
    assert response.status_code == 201
    assert (response.headers["ratelimit-remaining"], response.headers["ratelimit-reset"]) == ("599", "1")
    assert re.fullmatch(r"[a-z0-9]{26}", body["id"])
    assert re.fullmatch(r"[0-9a-f]{64}", body["version"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["created_at"])
    assert {key: body[key] for key in ("model", "input", "output", "error", "status", "source")} == {
        "model": SCHNELL,
        "input": {"prompt": "a lighthouse"},
        "output": None,
        "error": None,
        "status": "starting",
        "source": "api",
    }
    assert (body["started_at"], body["completed_at"], body["deadline"]) == (None, None, None)
    assert (body["urls"]["get"], body["urls"]["cancel"]) == (address, f"{address}/cancel")


async def test_a_prediction_goes_from_starting_to_succeeded(replicate_account: ReplicateAccount) -> None:
    prediction = await replicate_account.created("in order [sim:latency=0.8]")
    seen = [prediction]
    while seen[-1]["status"] in ("starting", "processing"):
        seen.append(await replicate_account.now(prediction))

    last = seen[-1]
    assert list(dict.fromkeys(one["status"] for one in seen)) == ["starting", "processing", "succeeded"]
    assert last["metrics"]["predict_time"] < last["metrics"]["total_time"]
    assert last["created_at"] < last["started_at"] < last["completed_at"]
    logs = [one["logs"] for one in seen]
    assert logs[0] == ""
    assert logs == sorted(logs, key=len)
    assert last["logs"].startswith("Using seed: ")
    assert "\nPrompt: in order" in last["logs"]
    assert last["logs"].endswith("100%|██████████| 20/20 [00:00<00:00,  9.87it/s]\n")


@pytest.mark.parametrize(("model", "count"), [(SCHNELL, 3), (PRO, 1), (KONTEXT, 1)])
async def test_output_is_a_list_or_one_address(
    replicate_account: ReplicateAccount, model: str, count: int
) -> None:
    given = {"num_outputs": count} if model == SCHNELL else {}
    output = (await replicate_account.ended(await replicate_account.created("shape", model, **given)))[
        "output"
    ]

    assert isinstance(output, list) is (model == SCHNELL)
    addresses = output if isinstance(output, list) else [output]
    assert len(addresses) == count
    files = [await replicate_account.http.get(address) for address in addresses]
    assert {file.status_code for file in files} == {200}
    assert len({file.content for file in files}) == count


@pytest.mark.parametrize(
    ("model", "given", "size", "image_format"),
    [
        (SCHNELL, {"aspect_ratio": "16:9", "output_format": "jpg"}, (1344, 768), "JPEG"),
        (SCHNELL, {"megapixels": "0.25"}, (512, 512), "WEBP"),
        (
            PRO,
            {"aspect_ratio": "custom", "width": 512, "height": 256, "output_format": "png"},
            (512, 256),
            "PNG",
        ),
    ],
)
async def test_images_have_size_and_format_as_asked(
    replicate_account: ReplicateAccount,
    model: str,
    given: dict[str, Any],
    size: tuple[int, int],
    image_format: str,
) -> None:
    ended = await replicate_account.ended(await replicate_account.created("sized", model, **given))
    output = ended["output"][0] if model == SCHNELL else ended["output"]
    image = Image.open(io.BytesIO((await replicate_account.http.get(output)).content))

    assert (image.size, image.format) == (size, image_format)


@pytest.mark.parametrize("form", ["{name}", "{name}:{version}", "{version}"])
async def test_every_form_of_a_version_is_taken(replicate_account: ReplicateAccount, form: str) -> None:
    model = (await replicate_account.http.get(f"/v1/models/{SCHNELL}")).json()
    version = form.format(name=SCHNELL, version=model["latest_version"]["id"])
    response = await replicate_account.http.post(
        "/v1/predictions", json={"version": version, "input": {"prompt": "by version"}}
    )

    assert (response.status_code, response.json()["model"]) == (201, SCHNELL)


@pytest.mark.parametrize("version", [None, "unknown/model", "0" * 64, f"{SCHNELL}:{'0' * 64}"])
async def test_an_unknown_version_is_422(replicate_account: ReplicateAccount, version: str | None) -> None:
    response = await replicate_account.http.post(
        "/v1/predictions", json={"version": version, "input": {"prompt": "x"}}
    )

    assert (response.status_code, response.json()["title"]) == (422, "Invalid version or not permitted")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", f"Key {KEY}"])
async def test_a_wrong_key_is_a_401_problem(
    replicate_simulator: SimulatorProcess, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with httpx.AsyncClient(
        base_url=replicate_simulator.url, headers=headers, trust_env=False
    ) as stranger:
        response = await stranger.get("/v1/predictions")

    assert (response.status_code, response.headers["content-type"]) == (401, "application/problem+json")
    assert response.json() == {
        "title": "Unauthenticated",
        "detail": "You did not pass a valid authentication token",
        "status": 401,
    }


async def test_the_older_scheme_is_accepted(replicate_account: ReplicateAccount) -> None:
    response = await replicate_account.http.get("/v1/account", headers={"Authorization": f"Token {KEY}"})

    assert (response.status_code, response.json()["username"]) == (200, "user-1")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "input"),
        ({"prompt": 5}, "input.prompt"),
        ({"prompt": "x", "num_outputs": 5}, "input.num_outputs"),
        ({"prompt": "x", "aspect_ratio": "7:3"}, "input.aspect_ratio"),
        ({"prompt": "x [sim:nonsense]"}, "input.prompt"),
        ({"prompt": "x [sim:nsfw]"}, "input.prompt"),
        (None, "input"),
    ],
)
async def test_a_bad_input_is_422_and_names_the_field(
    replicate_account: ReplicateAccount, given: dict[str, Any] | None, field: str
) -> None:
    response = await replicate_account.http.post(f"/v1/models/{SCHNELL}/predictions", json={"input": given})

    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    body = response.json()
    assert (body["title"], body["invalid_fields"][0]["field"]) == ("Input validation failed", field)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b" " * 2_000_001])
async def test_a_body_that_is_no_object_is_400(replicate_account: ReplicateAccount, body: bytes) -> None:
    response = await replicate_account.http.post(f"/v1/models/{SCHNELL}/predictions", content=body)

    assert response.status_code == 400


async def test_prefer_wait_delays_the_response_until_the_end(replicate_account: ReplicateAccount) -> None:
    response = await replicate_account.create("held", headers={"Prefer": "wait"})

    assert (response.status_code, response.headers["preference-applied"]) == (201, "wait=60")
    assert (response.json()["status"], len(response.json()["output"])) == ("succeeded", 1)


async def test_prefer_wait_ends_with_its_time(replicate_account: ReplicateAccount) -> None:
    started = time.monotonic()
    response = await replicate_account.create("too slow [sim:hang]", headers={"Prefer": "wait=1"})

    assert 1 <= time.monotonic() - started < 3
    assert response.headers["preference-applied"] == "wait=1"
    assert response.json()["status"] in ("starting", "processing")


@pytest.mark.parametrize("preference", ["wait=0", "wait=61", "respond-async", "wait=soon"])
async def test_a_preference_that_cannot_be_had_is_not_applied(
    replicate_account: ReplicateAccount, preference: str
) -> None:
    response = await replicate_account.create("at once [sim:hang]", headers={"Prefer": preference})

    assert response.status_code == 201
    assert "preference-applied" not in response.headers


async def test_an_early_output_comes_while_it_is_processing(replicate_account: ReplicateAccount) -> None:
    response = await replicate_account.create("early [sim:early_output]", PRO, headers={"Prefer": "wait=10"})
    body = response.json()

    assert (response.status_code, body["status"], body["completed_at"]) == (201, "processing", None)
    assert body["output"].startswith("data:image/webp;base64,")


async def test_a_deadline_aborts_what_has_not_started_and_cancels_what_has(
    replicate_account: ReplicateAccount,
) -> None:
    headers = {"Cancel-After": "5s"}
    both = [
        (await replicate_account.create(f"in time? [sim:latency={seconds}]", headers=headers)).json()
        for seconds in (60, 12)
    ]
    ended = await asyncio.gather(*(replicate_account.ended(one) for one in both))

    assert [one["status"] for one in ended] == ["aborted", "canceled"]
    assert [one["started_at"] is None for one in ended] == [True, False]
    assert [one["completed_at"] == one["deadline"] for one in ended] == [True, True]


async def test_a_deadline_that_is_met_changes_nothing(replicate_account: ReplicateAccount) -> None:
    response = await replicate_account.create("quick enough", headers={"Cancel-After": "1h30m"})
    ended = await replicate_account.ended(response.json())

    assert (ended["status"], ended["deadline"] > ended["completed_at"]) == ("succeeded", True)


@pytest.mark.parametrize("duration", ["4s", "soon", "-1s", "5 s"])
async def test_a_deadline_that_makes_no_sense_is_422(
    replicate_account: ReplicateAccount, duration: str
) -> None:
    response = await replicate_account.create("whenever", headers={"Cancel-After": duration})

    assert response.status_code == 422


async def test_cancel_ends_a_prediction_and_leaves_a_finished_one_alone(
    replicate_account: ReplicateAccount,
) -> None:
    running = await replicate_account.created("stop it [sim:hang]")
    finished = await replicate_account.ended(await replicate_account.created("done"))
    answers = [await replicate_account.http.post(one["urls"]["cancel"]) for one in (running, finished)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["status"] == "canceled"
    assert answers[0].json()["completed_at"] is not None
    assert answers[1].json() == finished
    assert (await replicate_account.now(running))["status"] == "canceled"


async def test_an_unknown_path_is_a_404_problem(replicate_account: ReplicateAccount) -> None:
    http = replicate_account.http
    answers = [
        await http.get("/v1/predictions/unknown"),
        await http.post("/v1/predictions/unknown/cancel"),
        await http.post("/v1/models/nobody/nothing/predictions", json={"input": {"prompt": "x"}}),
        await http.get("/v1/models/nobody/nothing"),
        await http.get(f"/v1/models/{SCHNELL}/versions/unknown"),
        await http.get("/v1/files/unknown"),
        await http.delete("/v1/files/..%2Freplicate"),
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)


async def test_the_list_can_be_narrowed_by_time(replicate_account: ReplicateAccount) -> None:
    older = await replicate_account.created("older")
    await replicate_account.ended(older)
    newer = await replicate_account.created("newer")
    query = {"created_after": newer["created_at"]}
    after = (await replicate_account.http.get("/v1/predictions", params=query)).json()
    query = {"created_after": older["created_at"], "created_before": newer["created_at"]}
    between = (await replicate_account.http.get("/v1/predictions", params=query)).json()

    assert [one["input"]["prompt"] for one in after["results"]] == ["newer"]
    assert "older" in [one["input"]["prompt"] for one in between["results"]]
    assert "newer" not in [one["input"]["prompt"] for one in between["results"]]


@pytest.mark.parametrize("query", [{"created_after": "yesterday"}, {"cursor": "nonsense"}, {"cursor": "é"}])
async def test_a_list_that_cannot_be_is_422(
    replicate_account: ReplicateAccount, query: dict[str, str]
) -> None:
    response = await replicate_account.http.get("/v1/predictions", params=query)

    assert response.status_code == 422
