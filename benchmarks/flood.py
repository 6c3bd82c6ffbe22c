"""`python -m benchmarks.flood`: a tenant that sends as fast as it can, in a process of its own.

The API key is read from standard input. Ends by itself after so many seconds, and prints how often each
status came.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from uuid import uuid4

import httpx

from benchmarks.darkroom_target import REQUEST
from devstack.demo.pictures import CONTENT_TYPE, picture

_TIMEOUT_SECONDS = 30.0
_MAX_SECONDS = 300.0
_MAX_CONNECTIONS = 500
KINDS = ("posts", "reads", "uploads", "images", "wrong-keys", "forged-webhooks", "health")
_IMAGE = picture("palette")


async def flood(url: str, api_key: str, kind: str, connections: int, seconds: float) -> Counter[str]:
    """Send requests on so many connections until the time is over; return the statuses."""
    statuses: Counter[str] = Counter()
    end = time.monotonic() + seconds

    async def lane(http: httpx.AsyncClient) -> None:
        while time.monotonic() < end:
            try:
                statuses[str((await _send(http, kind)).status_code)] += 1
            except httpx.HTTPError as error:
                statuses[type(error).__name__] += 1

    async with httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=_TIMEOUT_SECONDS,
        limits=httpx.Limits(max_connections=connections),
        trust_env=False,
    ) as http:
        await asyncio.gather(*(lane(http) for _ in range(connections)))
    return statuses


async def _send(http: httpx.AsyncClient, kind: str) -> httpx.Response:
    match kind:
        case "posts":
            headers = {"Idempotency-Key": str(uuid4())}
            return await http.post("/v1/generations", json=REQUEST, headers=headers)
        case "uploads":
            return await http.post("/v1/files", files={"file": ("image.png", _IMAGE, CONTENT_TYPE)})
        case "images":
            return await http.get("/v1/generations/gen_none/images/0")
        case "wrong-keys":
            headers = {"Authorization": f"Bearer dk_{uuid4().hex}"}
            return await http.get("/v1/generations", headers=headers)
        case "forged-webhooks":
            return await http.post(f"/v1/webhooks/fal/gen_{uuid4().hex}/none", json=REQUEST)
        case "health":
            return await http.get("/healthz")
        case _:
            return await http.get("/v1/generations")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--kind", choices=KINDS, default="posts")
    parser.add_argument("--connections", type=int, choices=range(1, _MAX_CONNECTIONS + 1), default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    key = sys.stdin.readline().strip()
    done = asyncio.run(flood(asked.url, key, asked.kind, asked.connections, min(asked.seconds, _MAX_SECONDS)))
    sys.stdout.write(json.dumps(done) + "\n")
