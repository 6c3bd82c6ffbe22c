"""The code of docs/webhooks.md, run as a reader would: it takes what is genuine and nothing else."""

import base64
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.webhooks import (
    DEFAULT_SCHEDULE_SECONDS,
    DeliveryError,
    DeliveryStatus,
    show_secret,
    signed_headers,
)
from tests.support.time_limits import scaled

GUIDE = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
SECRET, BEFORE, OTHER = b"s" * 32, b"b" * 32, b"o" * 32
BODY = '{"type":"generation.completed","data":{"note":"füchse"}}'.encode()
_NODE_CALL = """
const asked = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
process.stdout.write(String(verify(asked.secret, asked.headers, Buffer.from(asked.body, "base64"))));
"""

Verify = Callable[[str, Mapping[str, str], bytes], bool]


def _block(language: str) -> str:
    [code] = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return str(code)


def _in_python(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    names: dict[str, Any] = {}
    exec(_block("python"), names)  # noqa: S102 - our own document
    return bool(names["verify"](secret, dict(headers), body))


def _in_node(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI"):
            pytest.fail("node is needed")
        pytest.skip("node is needed")
    asked = {"secret": secret, "headers": dict(headers), "body": base64.b64encode(body).decode()}
    done = subprocess.run(  # noqa: S603 - our own document
        [node, "-e", _block("javascript") + _NODE_CALL],
        input=json.dumps(asked).encode(),
        capture_output=True,
        timeout=scaled(20),
        check=True,
    )
    return done.stdout == b"true"


@pytest.mark.parametrize("verify", [_in_python, _in_node])
def test_the_guides_code_takes_what_is_genuine_and_nothing_else(verify: Verify) -> None:
    now, secret = int(time.time()), show_secret(SECRET)
    genuine = signed_headers([SECRET], "msg_1", now, BODY)
    rotating = signed_headers([OTHER, SECRET], "msg_1", now, BODY)
    refused: list[tuple[Mapping[str, str], bytes]] = [
        (signed_headers([OTHER], "msg_1", now, BODY), BODY),
        (genuine, BODY + b" "),
        ({**genuine, "webhook-id": "msg_2"}, BODY),
        ({**genuine, "webhook-timestamp": str(now + 1)}, BODY),
        (signed_headers([SECRET], "msg_1", now - 301 - 60, BODY), BODY),
        (signed_headers([SECRET], "msg_1", now + 301 + 60, BODY), BODY),
        ({**genuine, "webhook-timestamp": "soon"}, BODY),
        ({**genuine, "webhook-signature": "v1,\u00fc v1"}, BODY),
        ({}, BODY),
    ]

    assert verify(secret, genuine, BODY)
    assert verify(secret, rotating, BODY)
    assert verify(show_secret(OTHER), rotating, BODY)
    assert [verify(secret, headers, body) for headers, body in refused] == [False] * len(refused)


def test_the_guide_names_every_status_and_error() -> None:
    for name in (*DeliveryStatus, *DeliveryError):
        assert f"`{name}`" in GUIDE


def test_the_guide_names_the_schedule() -> None:
    hours = [seconds / 3600 for seconds in DEFAULT_SCHEDULE_SECONDS[4:]]
    listed = ", ".join(f"{each:g}" for each in hours[:-1])
    assert DEFAULT_SCHEDULE_SECONDS[:4] == (0, 5, 300, 1800)
    assert f"5 seconds, 5 minutes, 30 minutes, {listed} and {hours[-1]:g} hours" in GUIDE
