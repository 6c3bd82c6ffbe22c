"""The official replicate client, unchanged except for its base URL."""

import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError

from tests.simulator.conftest import QUICK
from tests.simulator.process import KEY, SimulatorProcess
from tests.simulator.receiver import Receiver
from tests.simulator.replicate.account import KONTEXT, PRO, SCHNELL
from tests.support.eventually import eventually


@pytest.fixture(scope="module")
async def replicate_simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatorProcess]:
    """Start a simulator for this module: the client cannot list the aborted predictions of other tests."""
    running = SimulatorProcess(tmp_path_factory.mktemp("replicate"), QUICK, provider="replicate")
    await running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture
async def client(
    replicate_simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Client]:
    monkeypatch.setenv("REPLICATE_BASE_URL", replicate_simulator.url)
    monkeypatch.setenv("REPLICATE_API_TOKEN", KEY)
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.05")
    client = Client()
    yield client
    await client._async_client.aclose()


async def test_run_returns_a_list_of_addresses_where_the_model_gives_one(client: Client) -> None:
    output: Any = await client.async_run(SCHNELL, {"prompt": "run", "num_outputs": 2})

    async with httpx.AsyncClient(trust_env=False) as http:
        files = [await http.get(address) for address in output]
    assert [Image.open(io.BytesIO(file.content)).size for file in files] == [(1024, 1024)] * 2
    assert files[0].content != files[1].content


async def test_run_returns_one_address_where_the_model_gives_one(client: Client) -> None:
    output: Any = await client.async_run(PRO, {"prompt": "run", "output_format": "png"})

    assert output.endswith("/0.png")


async def test_run_takes_a_version(client: Client) -> None:
    model = await client.models.async_get(SCHNELL)
    assert model.latest_version is not None
    output: Any = await client.async_run(f"{SCHNELL}:{model.latest_version.id}", {"prompt": "by version"})

    assert len(output) == 1


async def test_an_early_output_is_a_file_in_the_response(client: Client) -> None:
    output: Any = await client.async_run(PRO, {"prompt": "at once [sim:early_output]"})

    assert Image.open(io.BytesIO(await output.aread())).size == (1024, 1024)


async def test_create_wait_and_reload(client: Client) -> None:
    prediction = await client.models.predictions.async_create(SCHNELL, {"prompt": "step by step"})
    first = prediction.status
    await prediction.async_wait()
    again = await client.predictions.async_get(prediction.id)

    assert (first, prediction.status, len(again.output or [])) == ("starting", "succeeded", 1)


async def test_the_client_reads_the_progress_from_the_log(client: Client) -> None:
    prediction = await client.models.predictions.async_create(SCHNELL, {"prompt": "half [sim:hang]"})
    assert prediction.progress is None

    async def progress() -> Any:
        await prediction.async_reload()
        return prediction.progress

    half = await eventually(progress)
    await prediction.async_cancel()
    done = await client.models.predictions.async_create(SCHNELL, {"prompt": "whole"})
    await done.async_wait()

    assert (half.percentage, half.current, half.total) == (0.5, 10, 20)
    assert done.progress is not None
    assert done.progress.percentage == 1


async def test_a_blocking_create_responds_after_the_end(client: Client) -> None:
    prediction = await client.models.predictions.async_create(SCHNELL, {"prompt": "blocking"}, wait=10)

    assert (prediction.status, len(prediction.output or [])) == ("succeeded", 1)


async def test_cancel(client: Client) -> None:
    prediction = await client.models.predictions.async_create(SCHNELL, {"prompt": "stop [sim:hang]"})
    await prediction.async_cancel()

    assert (prediction.status, prediction.completed_at is not None) == ("canceled", True)


async def test_a_flagged_prediction_is_a_model_error(client: Client) -> None:
    with pytest.raises(ModelError, match=r"flagged as sensitive.*\(E005\)"):
        await client.async_run(SCHNELL, {"prompt": "improper [sim:moderation]"}, wait=False)


async def test_an_uploaded_file_is_an_input(client: Client) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (320, 160), "teal").save(picture, "png")
    output: Any = await client.async_run(KONTEXT, {"prompt": "edit it", "input_image": picture})

    async with httpx.AsyncClient(trust_env=False) as http:
        edited = Image.open(io.BytesIO((await http.get(output)).content))
    assert (edited.size, edited.getpixel((728, 180))) == ((1456, 720), (0, 128, 128))


async def test_list_goes_from_page_to_page(client: Client) -> None:
    prompts = [f"listed {number}" for number in range(101)]
    for prompt in prompts:
        await client.models.predictions.async_create(SCHNELL, {"prompt": prompt})
    first = await client.predictions.async_list()
    second = await client.predictions.async_list(first.next)
    back = await client.predictions.async_list(second.previous)

    seen = [(one.input or {})["prompt"] for one in [*first, *second]][:101]
    assert seen == prompts[::-1]
    assert [one.id for one in back] == [one.id for one in first]


async def test_account_and_errors(client: Client) -> None:
    account = await client.accounts.async_current()
    with pytest.raises(ReplicateError) as missing:
        await client.predictions.async_get("unknown")
    with pytest.raises(ReplicateError) as invalid:
        await client.models.predictions.async_create(SCHNELL, {})
    with pytest.raises(ReplicateError) as throttled:
        await client.models.predictions.async_create(SCHNELL, {"prompt": "busy [sim:submit_429=30]"})

    assert (account.type, account.username) == ("user", "user-1")
    assert (missing.value.status, invalid.value.status) == (404, 422)
    assert "prompt is required" in str(invalid.value.detail)
    assert (throttled.value.status, throttled.value.detail) == (
        429,
        "Request was throttled. Your rate limit resets in ~30s.",
    )


async def test_the_clients_own_check_accepts_a_webhook(client: Client, receiver: Receiver) -> None:
    secret = await client.webhooks.default.async_secret()
    await client.models.predictions.async_create(SCHNELL, {"prompt": "tell me"}, webhook=receiver.url())
    received = await receiver.first()

    client.webhooks.validate(
        headers=received.headers, body=received.body.decode(), secret=secret, tolerance=300
    )
