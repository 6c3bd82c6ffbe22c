"""The official fal-client, unchanged except for its host, with the simulator over https.

Its host is read from the environment when it is imported, and it always says https: each test runs it in a
process of its own.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.simulator.process import ENDPOINT, KEY, SimulatorProcess
from tests.support.time_limits import scaled

PROLOGUE = f"""
import json, fal_client
ENDPOINT = {ENDPOINT!r}
ASK = {{"prompt": "through the official client", "image_size": "square", "seed": 5}}
SLOW = ASK | {{"prompt": "slowly [sim:latency=2]"}}
SLOWER = ASK | {{"prompt": "more slowly [sim:latency=5]"}}
"""

SUBMIT = """
handle = fal_client.submit(ENDPOINT, SLOW)
first = fal_client.status(ENDPOINT, handle.request_id, with_logs=True)
result = handle.get()
print(json.dumps({
    "first": type(first).__name__,
    "seed": result["seed"],
    "again": fal_client.result(ENDPOINT, handle.request_id) == result,
    "last": type(handle.status()).__name__,
}))
"""

EVENTS = """
handle = fal_client.submit(ENDPOINT, SLOW)
print(json.dumps([type(event).__name__ for event in handle.iter_events(with_logs=True, interval=0.02)]))
"""

SUBSCRIBE = """
seen, ids = [], []
result = fal_client.subscribe(
    ENDPOINT, ASK, with_logs=True, interval=0.02, client_timeout=20,
    on_enqueue=ids.append, on_queue_update=lambda update: seen.append(type(update).__name__),
)
print(json.dumps({"ids": len(ids), "last": seen[-1], "images": len(result["images"])}))
"""

PROGRESS = """
positions, messages = [], []
def update(status):
    if isinstance(status, fal_client.Queued):
        positions.append(status.position)
    elif status.logs:
        messages[:] = [log["message"] for log in status.logs]
fal_client.subscribe(
    ENDPOINT, SLOWER, with_logs=True, interval=0.02, client_timeout=60, on_queue_update=update,
)
print(json.dumps({"positions": positions, "messages": messages}))
"""

CANCEL = """
handle = fal_client.submit(ENDPOINT, {"prompt": "stop it [sim:hang]"})
handle.cancel()
completed = handle.status()
try:
    fal_client.cancel(ENDPOINT, handle.request_id)
except fal_client.FalClientHTTPError as error:
    second = error.status_code
print(json.dumps({"error_type": completed.error_type, "second": second}))
"""

FAILURE = """
handle = fal_client.submit(ENDPOINT, {"prompt": "improper [sim:moderation]"})
try:
    handle.get()
except fal_client.FalClientHTTPError as error:
    print(json.dumps({"status": error.status_code, "type": error.message[0]["type"]}))
"""

ASYNC = """
import asyncio
async def main():
    handle = await fal_client.submit_async(ENDPOINT, ASK)
    result = await handle.get()
    print(json.dumps(result["seed"]))
asyncio.run(main())
"""


@pytest.fixture(scope="module")
async def tls_simulator(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatorProcess]:
    running = SimulatorProcess(tmp_path_factory.mktemp("tls"), ("--tls", "--job-seconds", "0.1"))
    await running.start()
    yield running
    assert running.stop() == 0


async def test_submit_status_and_result(tls_simulator: SimulatorProcess) -> None:
    reported = await _run(tls_simulator, SUBMIT)

    assert reported == {"first": "Queued", "seed": 5, "again": True, "last": "Completed"}


async def test_events_come_in_order(tls_simulator: SimulatorProcess) -> None:
    reported = await _run(tls_simulator, EVENTS)

    assert list(dict.fromkeys(reported)) == ["Queued", "InProgress", "Completed"]


async def test_subscribe(tls_simulator: SimulatorProcess) -> None:
    assert await _run(tls_simulator, SUBSCRIBE) == {"ids": 1, "last": "Completed", "images": 1}


async def test_the_place_in_the_queue_falls_and_the_log_grows(tls_simulator: SimulatorProcess) -> None:
    reported = await _run(tls_simulator, PROGRESS)
    positions, messages = reported["positions"], reported["messages"]

    assert positions == sorted(positions, reverse=True)
    assert len(set(positions)) > 1
    assert messages[0] == "Loading the model"
    assert messages[-2:] == ["100%|██████████| 20/20 [00:00<00:00,  9.87it/s]", "Done"]


async def test_cancel(tls_simulator: SimulatorProcess) -> None:
    assert await _run(tls_simulator, CANCEL) == {"error_type": "client_cancelled", "second": 400}


async def test_a_failure_carries_its_type(tls_simulator: SimulatorProcess) -> None:
    assert await _run(tls_simulator, FAILURE) == {"status": 422, "type": "content_policy_violation"}


async def test_the_async_client(tls_simulator: SimulatorProcess) -> None:
    assert await _run(tls_simulator, ASYNC) == 5


async def test_a_restart_keeps_the_certificate(tls_simulator: SimulatorProcess) -> None:
    authority = (tls_simulator.state / "ca.pem").read_bytes()
    assert tls_simulator.stop() == 0
    await tls_simulator.start()

    assert (tls_simulator.state / "ca.pem").read_bytes() == authority
    assert (tls_simulator.state / "server-key.pem").stat().st_mode & 0o777 == 0o600


async def _run(simulator: SimulatorProcess, script: str) -> Any:
    environment = os.environ | {
        "FAL_KEY": KEY,
        "FAL_QUEUE_RUN_HOST": f"localhost:{simulator.port}",
        "SSL_CERT_FILE": str(simulator.state / "ca.pem"),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROLOGUE + script),
        env={name: value for name, value in environment.items() if not name.lower().endswith("_proxy")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(scaled(20)):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return json.loads(output)
