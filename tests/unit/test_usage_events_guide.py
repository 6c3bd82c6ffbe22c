"""The document of usage events shows what is sent, and its receiver takes it, each charge once."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from adapters.billing_receiver import HttpBillingReceiver, billing_client
from domain.usage_events import Charge, batch_body
from tests.support.eventually import eventually
from tests.support.webhook_receiver import receiving, responding

GUIDE = (Path(__file__).parents[2] / "docs/usage-events.md").read_text()
TOKEN = "the token"  # noqa: S105 - not a secret: of no account
CHARGE = Charge(
    position=1,
    transfer_id="gen_019b0c5c7a4e3f21a0d4c8be:settle",
    tenant_id="ten_019b0c58d2c17fb2954e1a60",
    charged_at=datetime.fromisoformat("2026-03-02T15:07:31.482911+01:00"),
    generation_id="gen_019b0c5c7a4e3f21a0d4c8be",
    model="flux-dev",
    provider="fal",
    api_key_id="3f1c9a0be2d47765",
    images=2,
    charged_credits=8,
    promotional_credits=3,
)
SOURCE = "https://api.example.com"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def block(language: str) -> str:
    [code] = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return str(code)


def test_the_example_is_what_is_sent() -> None:
    assert json.loads(block("json")) == json.loads(batch_body([CHARGE], SOURCE))


async def test_the_receiver_of_the_guide_takes_each_charge_once(tmp_path: Path) -> None:
    (tmp_path / "receiver.py").write_text(block("python"))
    port = free_port()
    process = subprocess.Popen(  # noqa: ASYNC220 - our own document
        [sys.executable, "receiver.py"],
        cwd=tmp_path,
        env={**os.environ, "PORT": str(port), "BILLING_EVENTS_TOKEN": TOKEN},
        stderr=subprocess.DEVNULL,
    )
    other = replace(CHARGE, transfer_id="gen_other:settle", charged_credits=4, promotional_credits=0)
    url = f"http://127.0.0.1:{port}/"
    try:
        async with billing_client(5.0) as client:
            to = HttpBillingReceiver(client, url, TOKEN, SOURCE, timeout_seconds=5.0)

            async def is_taken() -> bool:
                return (await to.send_batch([CHARGE])).problem is None

            await eventually(is_taken)
            assert (await to.send_batch([CHARGE, other])).problem is None
            stranger = HttpBillingReceiver(client, url, "wrong", SOURCE, timeout_seconds=5.0)
            assert (await stranger.send_batch([CHARGE])).problem == "status 401"
    finally:
        process.kill()
        process.wait(timeout=10)
    with sqlite3.connect(tmp_path / "charges.db") as charges:
        assert charges.execute("SELECT count(*), sum(credits) FROM charges").fetchone() == (2, 12)
    charges.close()


@pytest.mark.parametrize("wait", ["7", "soon", "9" * 12])
async def test_a_wait_that_is_asked_for_is_read_if_it_is_one(wait: str) -> None:
    async with receiving() as receiver, billing_client(5.0) as client:
        url = receiver.url("/", responding(503, f"Retry-After: {wait}"))
        to = HttpBillingReceiver(client, url, None, SOURCE, timeout_seconds=5.0)
        response = await to.send_batch([CHARGE])
        assert response.problem == "status 503"
        assert response.retry_after_seconds == (7 if wait == "7" else None)
        assert "authorization" not in receiver.received[0].headers


async def test_nobody_there_is_a_failure() -> None:
    async with billing_client(5.0) as client:
        to = HttpBillingReceiver(client, f"http://127.0.0.1:{free_port()}", None, SOURCE, timeout_seconds=5.0)
        assert (await to.send_batch([CHARGE])).problem
