"""fal's queue, request by request, as documented."""

import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.simulator.process import ENDPOINT, KEY, Client, SimulatorProcess


async def test_submit_returns_id_and_addresses_without_the_sub_path(
    client: Client, simulator: SimulatorProcess
) -> None:
    answer = await client.submitted("a lighthouse")

    requests = f"{simulator.url}/fal-ai/flux/requests/{answer['request_id']}"
    assert answer == {
        "status": "IN_QUEUE",
        "request_id": answer["request_id"],
        "response_url": requests,
        "status_url": f"{requests}/status",
        "cancel_url": f"{requests}/cancel",
        "queue_position": 2,
    }


async def test_addresses_use_the_host_that_the_client_used(
    client: Client, simulator: SimulatorProcess
) -> None:
    base = f"http://localhost:{simulator.port}"
    answer = await client.http.post(f"{base}/{ENDPOINT}", json={"prompt": "by name"})

    assert answer.json()["status_url"].startswith(f"{base}/fal-ai/flux/requests/")


async def test_workflow_endpoints_keep_three_parts(client: Client) -> None:
    answer = await client.http.post("/workflows/somebody/flow/step", json={"prompt": "flow"})

    assert "/workflows/somebody/flow/requests/" in answer.json()["status_url"]


@pytest.mark.parametrize("header", [None, "", "Key", "Key wrong", f"Bearer {KEY}"])
async def test_a_wrong_key_is_401(simulator: SimulatorProcess, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with httpx.AsyncClient(base_url=simulator.url, headers=headers, trust_env=False) as stranger:
        submit = await stranger.post(f"/{ENDPOINT}", json={"prompt": "x"})
        status = await stranger.get("/fal-ai/flux/requests/x/status")

    assert (submit.status_code, status.status_code) == (401, 401)


@pytest.mark.parametrize(
    ("arguments", "loc"),
    [
        ({}, ["body", "prompt"]),
        ({"prompt": 5}, ["body", "prompt"]),
        ({"prompt": "x", "num_images": 5}, ["body", "num_images"]),
        ({"prompt": "x", "num_images": 0}, ["body", "num_images"]),
        ({"prompt": "x", "image_size": "huge"}, ["body", "image_size"]),
        ({"prompt": "x", "image_size": {"width": 0, "height": 512}}, ["body", "image_size", "width"]),
        ({"prompt": "x", "output_format": "gif"}, ["body", "output_format"]),
        ({"prompt": "\ud800"}, ["body", "prompt"]),
        ({"prompt": "x [sim:nonsense]"}, ["body", "prompt"]),
        ({"prompt": "x [sim:latency=soon]"}, ["body", "prompt"]),
        ([], ["body"]),
    ],
)
async def test_bad_arguments_are_422_with_the_place(client: Client, arguments: Any, loc: list[str]) -> None:
    answer = await client.http.post(f"/{ENDPOINT}", content=json.dumps(arguments))

    assert answer.status_code == 422
    detail = answer.json()["detail"][0]
    assert detail["loc"] == loc
    assert detail.keys() == {"loc", "msg", "type", "url", "ctx", "input"}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"prompt": NaN}', b"[" * 50_000, b" " * 1_000_001])
async def test_a_body_that_is_no_json_or_too_long_is_422(client: Client, body: bytes) -> None:
    answer = await client.http.post(f"/{ENDPOINT}", content=body)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "json_invalid"


@pytest.mark.parametrize("url", ["ftp://x/y", "nonsense", "http://", "http://h:99999/"])
async def test_an_address_that_cannot_take_webhooks_is_422(client: Client, url: str) -> None:
    answer = await client.submit("webhook nowhere", url)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "fal_webhook"]


async def test_unknown_arguments_are_let_through(client: Client) -> None:
    answer = await client.submit("tolerant", acceleration="regular", loras=[{"path": "x"}])

    assert answer.status_code == 200


async def test_status_goes_from_queue_to_progress_to_completed(client: Client) -> None:
    handle = await client.submitted("a slow one [sim:latency=1.2]")
    answers: list[httpx.Response] = []
    while not answers or answers[-1].status_code != 200:
        answers.append(await client.http.get(handle["status_url"]))

    seen = [(answer.status_code, answer.json()["status"]) for answer in answers]
    assert list(dict.fromkeys(seen)) == [(202, "IN_QUEUE"), (202, "IN_PROGRESS"), (200, "COMPLETED")]
    positions = [answer.json()["queue_position"] for answer in answers if "queue_position" in answer.json()]
    assert positions == sorted(positions, reverse=True)
    assert positions[-1] == 0
    assert len(set(positions)) > 1


@pytest.mark.parametrize(("logs", "given"), [("1", True), ("true", True), ("0", False), (None, False)])
async def test_logs_come_only_when_asked_for(client: Client, logs: str | None, given: bool) -> None:
    handle = await client.submitted("logged")
    await client.completed(handle)
    answer = await client.http.get(handle["status_url"], params={} if logs is None else {"logs": logs})

    body = answer.json()
    assert bool(body["logs"]) is given
    assert body["metrics"]["inference_time"] > 0


async def test_a_log_repeats_the_prompt_and_has_a_line_for_each_step(client: Client) -> None:
    handle = await client.submitted("a logged fox")
    await client.completed(handle)
    logs = (await client.http.get(handle["status_url"], params={"logs": "1"})).json()["logs"]
    times = [entry["timestamp"] for entry in logs]

    assert [entry["message"] for entry in logs][:3] == [
        "Loading the model",
        "Prompt: a logged fox",
        "  0%|          | 0/20 [00:00<00:00,  9.87it/s]",
    ]
    assert (len(logs), logs[-1]["message"], times) == (24, "Done", sorted(times))


async def test_a_log_may_be_long(client: Client) -> None:
    handle = await client.submitted("a talkative fox [sim:long_log=300]")
    await client.completed(handle)
    answer = await client.http.get(handle["status_url"], params={"logs": "1"})

    assert len(answer.content) > 300_000


async def test_the_event_stream_ends_after_completed(client: Client) -> None:
    handle = await client.submitted("streamed [sim:latency=1]")
    answer = await client.http.get(handle["status_url"] + "/stream", params={"logs": 1})

    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
    assert events[0]["status"] == "IN_QUEUE"
    assert events[-1]["status"] == "COMPLETED"


async def test_the_result_names_images_that_can_be_fetched(client: Client) -> None:
    handle = await client.submitted("two of them", num_images=2, seed=42, output_format="png")
    answer = await client.result(handle)

    assert answer.headers["x-fal-request-id"] == handle["request_id"]
    assert answer.headers["x-fal-billable-units"] == "2"
    body = answer.json()
    assert (body["seed"], body["prompt"], body["has_nsfw_concepts"]) == (42, "two of them", [False, False])
    files = [await client.http.get(image["url"]) for image in body["images"]]
    assert [Image.open(io.BytesIO(file.content)).size for file in files] == [(512, 512)] * 2
    assert files[0].content != files[1].content
    assert (await client.http.get(body["images"][0]["url"])).content == files[0].content


@pytest.mark.parametrize(
    ("size", "image_format", "expected"),
    [
        ("portrait_16_9", "jpeg", (576, 1024)),
        ({"width": 300, "height": 200}, "webp", (300, 200)),
        ({"width": 1, "height": 1}, "png", (1, 1)),
    ],
)
async def test_images_have_size_and_format_as_asked(
    client: Client, size: Any, image_format: str, expected: tuple[int, int]
) -> None:
    handle = await client.submitted("sized", image_size=size, output_format=image_format)
    body = (await client.result(handle)).json()
    file = await client.http.get(body["images"][0]["url"])

    image = Image.open(io.BytesIO(file.content))
    assert (image.size, image.format) == (expected, image_format.upper())
    assert file.headers["content-type"] == body["images"][0]["content_type"] == f"image/{image_format}"
    assert (body["images"][0]["width"], body["images"][0]["height"]) == expected


async def test_sync_mode_returns_the_image_itself(client: Client) -> None:
    handle = await client.submitted("inline", sync_mode=True)
    url = (await client.result(handle)).json()["images"][0]["url"]

    assert url.startswith("data:image/jpeg;base64,")


async def test_a_result_before_its_time_is_400(client: Client) -> None:
    handle = await client.submitted("patience [sim:hang]")
    answer = await client.http.get(handle["response_url"])

    assert (answer.status_code, answer.json()) == (400, {"detail": "Request is still in progress"})


async def test_sub_path_and_response_suffix_are_aliases(client: Client) -> None:
    handle = await client.submitted("aliased")
    await client.completed(handle)
    long = f"/{ENDPOINT}/requests/{handle['request_id']}"
    answers = [await client.http.get(path) for path in (long, f"{long}/response", f"{long}/status")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


async def test_an_unknown_request_is_404_also_under_another_app(client: Client) -> None:
    handle = await client.submitted("mine")
    paths = ("/fal-ai/flux/requests/unknown", f"/fal-ai/other/requests/{handle['request_id']}")
    answers = [await client.http.get(f"{path}/status") for path in paths]
    answers += [await client.http.get(path) for path in paths]
    answers += [await client.http.put(f"{path}/cancel") for path in paths]

    assert [answer.status_code for answer in answers] == [404] * 6
    assert answers[0].json() == {"status": "NOT_FOUND"}


async def test_cancel_ends_a_job_and_is_too_late_afterwards(client: Client) -> None:
    handle = await client.submitted("never mind [sim:hang]")
    first = await client.http.put(handle["cancel_url"])
    second = await client.http.put(handle["cancel_url"])
    status = await client.http.get(handle["status_url"])
    result = await client.http.get(handle["response_url"])

    assert (first.status_code, first.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert (second.status_code, second.json()) == (400, {"status": "ALREADY_COMPLETED"})
    assert (status.json()["status"], status.json()["error_type"]) == ("COMPLETED", "client_cancelled")
    assert result.status_code == 499


async def test_files_that_were_never_made_are_404(client: Client) -> None:
    handle = await client.submitted("one only")
    await client.completed(handle)
    names = ("1.jpeg", "0.png", "-1.jpeg", "x.jpeg", "0", "99999999999.jpeg")
    answers = [await client.http.get(f"/files/{handle['request_id']}/{name}") for name in names]

    assert [answer.status_code for answer in answers] == [404] * len(names)
    assert (await client.http.get("/files/unknown/0.jpeg")).status_code == 404
