"""A simulator that is killed at any time continues after a restart."""

import json
import signal
from pathlib import Path

import pytest

from devstack.process.ports import pick_free
from tests.simulator.bfl.account import BflAccount
from tests.simulator.conftest import QUICK
from tests.simulator.pictures import plain
from tests.simulator.process import Client, SimulatorProcess
from tests.simulator.receiver import Receiver
from tests.simulator.replicate.account import KONTEXT, ReplicateAccount
from tests.support.eventually import eventually


async def test_jobs_in_flight_finish_after_a_kill(
    own_simulator: SimulatorProcess, receiver: Receiver
) -> None:
    before = Client(own_simulator.url)
    async with before.http:
        keys = (await before.http.get("/.well-known/jwks.json")).json()
        handle = await before.submitted("interrupted [sim:latency=1]", receiver.url(), seed=7)
    own_simulator.kill()
    await own_simulator.start()
    received = await receiver.first()

    client = Client(own_simulator.url)
    async with client.http:
        result = await client.result(handle)
        assert (await client.http.get("/.well-known/jwks.json")).json() == keys
    assert json.loads(received.body)["payload"] == result.json()
    assert result.json()["seed"] == 7


async def test_an_undelivered_webhook_is_sent_after_a_kill(
    own_simulator: SimulatorProcess, receiver: Receiver
) -> None:
    await receiver.stop()
    before = Client(own_simulator.url)
    async with before.http:
        handle = await before.submitted("undelivered", receiver.url())
        await eventually(lambda: before.log(handle["request_id"], "webhook_sent"))
    own_simulator.kill()
    await receiver.start()
    await own_simulator.start()
    received = await receiver.first()

    assert json.loads(received.body)["request_id"] == handle["request_id"]


async def test_log_rules_and_files_outlive_a_kill(own_simulator: SimulatorProcess) -> None:
    before = Client(own_simulator.url)
    async with before.http:
        await before.put_fault("reject", match={"prompt": "later"}, times=1)
        url = (await before.result(await before.submitted("kept"))).json()["images"][0]["url"]
        content = (await before.http.get(url)).content
        entries = await before.log()
    own_simulator.kill()
    await own_simulator.start()

    client = Client(own_simulator.url)
    async with client.http:
        assert await client.log() == entries
        assert (await client.http.get(url)).content == content
        assert [(await client.submit("later")).status_code for _ in range(2)] == [422, 200]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_code_0_also_with_a_stream_open(
    own_simulator: SimulatorProcess, number: signal.Signals
) -> None:
    client = Client(own_simulator.url)
    async with client.http:
        handle = await client.submitted("watched [sim:hang]")
        async with client.http.stream("GET", handle["status_url"] + "/stream") as stream:
            await anext(stream.aiter_lines())

            assert own_simulator.stop(number) == 0


async def test_predictions_secret_and_uploads_outlive_a_kill(tmp_path: Path, receiver: Receiver) -> None:
    running = SimulatorProcess(tmp_path, QUICK, provider="replicate")
    await running.start()
    before = ReplicateAccount(running.url)
    async with before.http:
        secret = (await before.http.get("/v1/webhooks/default/secret")).json()
        files = {"content": ("in.png", plain((1, 2, 3)), "image/png")}
        upload = await before.http.post("/v1/files", files=files)
        given = {"input_image": upload.json()["urls"]["get"], "webhook": receiver.url()}
        prediction = await before.created("interrupted [sim:latency=1]", KONTEXT, **given)
    running.kill()
    await running.start()

    after = ReplicateAccount(running.url)
    async with after.http:
        assert (await after.ended(prediction))["status"] == "succeeded"
        assert (await after.http.get("/v1/webhooks/default/secret")).json() == secret
        assert (await after.http.get(upload.json()["urls"]["get"])).json() == upload.json()
    assert json.loads((await receiver.first()).body)["id"] == prediction["id"]
    assert running.stop() == 0


async def test_a_signed_address_outlives_a_kill(tmp_path: Path) -> None:
    options = (*QUICK, "--polling-port", str(pick_free()))
    running = SimulatorProcess(tmp_path, options, provider="bfl")
    await running.start()
    before = BflAccount(running.url)
    async with before.http:
        task = await before.submitted("kept")
        content = (await before.sample(task)).content
    running.kill()
    await running.start()

    after = BflAccount(running.url)
    async with after.http:
        assert (await after.sample(task)).content == content
    assert running.stop() == 0
