"""Black Forest Labs' API, request by request, as documented."""

import io
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from devstack.process.ports import pick_free
from tests.simulator.bfl.account import FILL, KONTEXT, PRO, BflAccount
from tests.simulator.conftest import QUICK
from tests.simulator.pictures import data_url, mask_with_hole_at_the_left, plain
from tests.simulator.process import SimulatorProcess
from tests.simulator.receiver import Receiver
from tests.support.eventually import eventually


def _text(content: bytes) -> str:
    return b64encode(content).decode()


async def test_submit_returns_an_address_at_another_host(
    bfl_account: BflAccount, bfl_simulator: SimulatorProcess
) -> None:
    task = await bfl_account.submitted("a lighthouse", width=1024, height=1024)
    polled = httpx.URL(task["polling_url"])

    assert task.keys() == {"id", "polling_url", "cost", "input_mp", "output_mp"}
    assert (task["cost"], task["input_mp"], task["output_mp"]) == (3.0, 0.0, 1.05)
    assert polled.port not in (None, bfl_simulator.port)
    assert (polled.path, polled.params["id"]) == ("/v1/get_result", task["id"])


async def test_with_a_webhook_there_is_no_address_to_poll(
    bfl_account: BflAccount, receiver: Receiver
) -> None:
    task = await bfl_account.submitted("tell me", webhook_url=receiver.url())

    assert task.keys() == {"id", "status", "webhook_url", "cost", "input_mp", "output_mp"}
    assert (task["status"], task["webhook_url"]) == ("Pending", receiver.url())
    assert (await bfl_account.ended(task))["status"] == "Ready"


async def test_a_hybrid_response_has_a_polling_url(bfl_account: BflAccount, receiver: Receiver) -> None:
    task = await bfl_account.submitted("both [sim:hybrid_answer]", webhook_url=receiver.url())

    assert {"status", "webhook_url", "polling_url"} <= task.keys()


async def test_a_cost_may_be_missing(bfl_account: BflAccount) -> None:
    task = await bfl_account.submitted("priceless [sim:no_cost]")

    assert (task["cost"], task["input_mp"], task["output_mp"]) == (None, None, None)


async def test_progress_grows_while_it_is_pending(bfl_account: BflAccount) -> None:
    task = await bfl_account.submitted("slowly [sim:latency=0.8]")
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["status"] == "Pending":
        seen.append((await bfl_account.poll(task)).json())

    progress = [one["progress"] for one in seen if one["progress"] is not None]
    assert seen[0] == {
        "id": task["id"],
        "status": "Pending",
        "result": None,
        "progress": None,
        "details": None,
        "preview": None,
    }
    assert progress == sorted(progress)
    assert 0 <= progress[0] < progress[-1] <= 1
    assert seen[-1]["status"] == "Ready"


async def test_the_result_names_a_signed_sample(bfl_account: BflAccount) -> None:
    task = await bfl_account.submitted("signed", width=512, height=256, seed=42, output_format="png")
    result = (await bfl_account.ended(task))["result"]
    sample = httpx.URL(result["sample"])
    forged = sample.copy_set_param("sig", "0" * 64)
    bare = sample.copy_with(query=None)
    later = sample.copy_set_param("se", "9999999999")
    answers = [await bfl_account.http.get(one) for one in (sample, forged, bare, later)]

    assert [answer.status_code for answer in answers] == [200, 403, 403, 403]
    assert Image.open(io.BytesIO(answers[0].content)).size == (512, 256)
    assert (result["prompt"], result["seed"]) == ("signed", 42)
    assert result["duration"] == pytest.approx(result["end_time"] - result["start_time"], abs=0.001)


async def test_the_submit_host_knows_the_task_too(bfl_account: BflAccount) -> None:
    task = await bfl_account.submitted("here as well [sim:hang]")
    response = await bfl_account.http.get("/v1/get_result", params={"id": task["id"]})

    assert response.json()["status"] == "Pending"


async def test_in_the_wrong_region_the_task_is_unknown(bfl_account: BflAccount) -> None:
    task = await bfl_account.submitted("over there [sim:wrong_region]")
    here = await bfl_account.http.get("/v1/get_result", params={"id": task["id"]})

    assert (here.status_code, here.json()["status"]) == (404, "Task not found")
    assert (await bfl_account.ended(task))["status"] == "Ready"


async def test_an_unknown_task_is_not_found(bfl_account: BflAccount) -> None:
    response = await bfl_account.http.get("/v1/get_result", params={"id": "unknown"})

    assert (response.status_code, response.json()["status"]) == (404, "Task not found")


@pytest.mark.parametrize(("key", "status"), [(None, 403), ("", 403), ("wrong", 401)])
async def test_a_wrong_key_is_refused(bfl_simulator: SimulatorProcess, key: str | None, status: int) -> None:
    headers = {} if key is None else {"x-key": key}
    async with httpx.AsyncClient(base_url=bfl_simulator.url, headers=headers, trust_env=False) as stranger:
        answers = [
            await stranger.post(f"/v1/{PRO}", json={"prompt": "x"}),
            await stranger.get("/v1/get_result?id=x"),
            await stranger.get("/v1/credits"),
        ]

    assert [answer.status_code for answer in answers] == [status] * 3


@pytest.mark.parametrize(
    ("model", "given", "loc"),
    [
        (PRO, {"prompt": 5}, ["body", "prompt"]),
        (PRO, {"width": 1000, "height": 1000}, ["body", "width"]),
        (PRO, {"width": 48, "height": 64}, ["body", "width"]),
        (PRO, {"width": 2048, "height": 2064}, ["body"]),
        (PRO, {"safety_tolerance": 6}, ["body", "safety_tolerance"]),
        (PRO, {"output_format": "gif"}, ["body", "output_format"]),
        (PRO, {"input_image": "%%%"}, ["body", "input_image"]),
        (PRO, {"input_image_8": _text(b"not an image")}, ["body", "input_image_8"]),
        (PRO, {"input_image": "http://127.0.0.1:1/nobody.png"}, ["body", "input_image"]),
        (PRO, {"webhook_url": "nonsense"}, ["body", "webhook_url"]),
        (PRO, {"webhook_url": "https://h/" + "x" * 2_083}, ["body", "webhook_url"]),
        (PRO, {"prompt": "x [sim:nonsense]"}, ["body", "prompt"]),
        (KONTEXT, {"aspect_ratio": "22:9"}, ["body", "aspect_ratio"]),
        ("flux-2-flex", {"guidance": 11}, ["body", "guidance"]),
        ("flux-pro-1.1", {"width": 1000}, ["body", "width"]),
        (FILL, {}, ["body", "image"]),
        (FILL, {"image": _text(plain((1, 2, 3)))}, ["body", "mask"]),
        (
            FILL,
            {"image": _text(plain((1, 2, 3))), "mask": _text(plain((0, 0, 0), (32, 32)))},
            ["body", "mask"],
        ),
    ],
)
async def test_bad_fields_are_422_with_the_place(
    bfl_account: BflAccount, model: str, given: dict[str, Any], loc: list[str]
) -> None:
    response = await bfl_account.http.post(f"/v1/{model}", json={"prompt": "x", **given})

    assert response.status_code == 422, response.text
    assert response.json()["detail"][0]["loc"] == loc


@pytest.mark.parametrize("body", [b"", b"{", b"[]"])
async def test_a_body_that_is_no_object_is_422(bfl_account: BflAccount, body: bytes) -> None:
    response = await bfl_account.http.post(f"/v1/{PRO}", content=body)

    assert (response.status_code, response.json()["detail"][0]["loc"]) == (422, ["body"])


async def test_an_unknown_model_is_404(bfl_account: BflAccount) -> None:
    assert (await bfl_account.submit("x", "flux-fill")).status_code == 404


@pytest.mark.parametrize(
    ("model", "given", "size"),
    [
        ("flux-2-klein-4b", {"width": 640, "height": 480}, (640, 480)),
        ("flux-2-max", {"width": 2048, "height": 2048}, (2048, 2048)),
        ("flux-2-pro", {}, (1024, 1024)),
        ("flux-pro-1.1", {}, (1024, 768)),
        ("flux-kontext-max", {"aspect_ratio": "2:1"}, (1408, 704)),
        ("flux-pro-1.1-ultra", {}, (2672, 1504)),
    ],
)
async def test_images_have_the_size_that_was_asked_for(
    bfl_account: BflAccount, model: str, given: dict[str, Any], size: tuple[int, int]
) -> None:
    sample = await bfl_account.sample(await bfl_account.submitted("sized", model, **given))

    assert Image.open(io.BytesIO(sample.content)).size == size


async def test_input_images_are_in_the_picture_and_in_the_price(bfl_account: BflAccount) -> None:
    left, right = plain((200, 30, 30), (1000, 1000)), plain((30, 30, 200), (500, 1000))
    given: dict[str, Any] = {
        "input_image": _text(left),
        "input_image_2": data_url(right),
        "width": 512,
        "height": 512,
    }
    task = await bfl_account.submitted("two of them", output_format="png", **given)
    image = Image.open(io.BytesIO((await bfl_account.sample(task)).content))

    assert (task["input_mp"], task["cost"]) == (1.5, 5.25)
    assert (image.getpixel((128, 128)), image.getpixel((384, 128))) == ((200, 30, 30), (30, 30, 200))


async def test_an_input_image_may_be_an_address(bfl_account: BflAccount) -> None:
    first = (await bfl_account.ended(await bfl_account.submitted("first", width=512, height=256)))["result"]
    task = await bfl_account.submitted("again", KONTEXT, input_image=first["sample"])
    (accepted,) = await bfl_account.log(task["id"], "submit_accepted")

    assert [(one["width"], one["height"]) for one in accepted["inputs"]] == [(512, 256)]


async def test_fill_keeps_the_size_of_its_image(bfl_account: BflAccount) -> None:
    image, mask = plain((9, 99, 9), (320, 200)), mask_with_hole_at_the_left((320, 200))
    task = await bfl_account.submitted("mend", FILL, image=_text(image), mask=_text(mask))
    sample = await bfl_account.sample(task)

    assert Image.open(io.BytesIO(sample.content)).size == (320, 200)


async def test_credits_go_down_by_the_cost(bfl_account: BflAccount) -> None:
    before = (await bfl_account.http.get("/v1/credits")).json()["credits"]
    task = await bfl_account.submitted("paid for")
    after = (await bfl_account.http.get("/v1/credits")).json()["credits"]

    assert before - after == pytest.approx(task["cost"])


async def test_there_is_no_cancel_and_no_list(bfl_account: BflAccount) -> None:
    task = await bfl_account.submitted("unstoppable")
    answers = [
        await bfl_account.http.post(f"/v1/{task['id']}/cancel"),
        await bfl_account.http.delete(f"/v1/{task['id']}"),
        await bfl_account.http.get("/v1/tasks"),
    ]

    assert {answer.status_code for answer in answers} <= {404, 405}


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[SimulatorProcess]:
    """Return an account with two active tasks, and results that expire after a second."""
    options = ("--active-jobs", "2", "--result-seconds", "1", "--polling-port", str(pick_free()))
    running = SimulatorProcess(tmp_path, (*QUICK, *options), provider="bfl")
    await running.start()
    yield running
    running.stop()


async def test_more_active_tasks_than_allowed_are_429(strict: SimulatorProcess) -> None:
    account = BflAccount(strict.url)
    async with account.http:
        task = await account.submitted("one [sim:latency=0.5]")
        answers = [await account.submit(f"{number} [sim:hang]") for number in ("two", "three")]
        await account.ended(task)
        after = await account.submit("four")

    assert [answer.status_code for answer in [*answers, after]] == [200, 429, 200]
    body = answers[1].json()
    assert (body["error"], body["retry_after"]) == ("rate_limit_exceeded", 5)
    assert "2" in body["message"]


async def test_a_sample_dies_and_stays_dead(strict: SimulatorProcess) -> None:
    account = BflAccount(strict.url)
    async with account.http:
        task = await account.submitted("fleeting")
        first = await account.sample(task)

        async def is_dead() -> bool:
            return (await account.sample(task)).status_code == 403

        await eventually(is_dead)

    assert first.status_code == 200
