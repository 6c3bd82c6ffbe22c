"""One generation in the running set, as a client makes it."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx

from devstack.errors import CheckFailed
from devstack.images.engine import Engine

TENANT = "ten_try"
MODEL = "flux-schnell"
MAX_SECONDS = 60.0
POLL_SECONDS = 0.5
REQUEST_TIMEOUT_SECONDS = 10.0
TERMINAL = ("completed", "failed", "canceled")


def run(engine: Engine, env: Mapping[str, str]) -> None:
    """Make a tenant and a key, post, wait, open the image by its link. Raises CheckFailed."""
    _admin(engine, "create-tenant", "try", "--id", TENANT)
    _admin(engine, "grant", TENANT, "10", "--reference", "try-images")
    key = _admin(engine, "create-key", TENANT)["api_key"]
    with httpx.Client(
        base_url=env["PUBLIC_URL"],
        headers={"Authorization": f"Bearer {key}"},
        timeout=REQUEST_TIMEOUT_SECONDS,
        trust_env=False,
    ) as http:
        started = time.monotonic()
        job = _finished(engine, http)
        engine.log(f"the generation {job['status']} after {time.monotonic() - started:.1f} s")
        if job["status"] != "completed":
            raise CheckFailed(f"the generation ended as {job['status']}: {job['error']}")
        _open(job["images"][0], env["S3_PUBLIC_ENDPOINT"])
    engine.log(f"its image opened by its signed link at {env['S3_PUBLIC_ENDPOINT']}")


def _finished(engine: Engine, http: httpx.Client) -> dict[str, Any]:
    posted = http.post("/v1/generations", json={"model": MODEL, "prompt": "a lighthouse in the fog"})
    posted.raise_for_status()
    deadline = time.monotonic() + MAX_SECONDS
    while True:
        job: dict[str, Any] = http.get(f"/v1/generations/{posted.json()['id']}").raise_for_status().json()
        if job["status"] in TERMINAL:
            return job
        if time.monotonic() > deadline:
            raise CheckFailed(f"the generation is {job['stage']} after {MAX_SECONDS:.0f} s")
        engine.stop.wait(POLL_SECONDS)


def _open(image: Mapping[str, Any], store: str) -> None:
    """Follow the link without a key, to the object store."""
    found = httpx.get(
        image["url"], follow_redirects=True, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False
    ).raise_for_status()
    if not str(found.url).startswith(store):
        raise CheckFailed(f"the link led to {found.url.host}:{found.url.port} and not to {store}")
    if hashlib.sha256(found.content).hexdigest() != image["sha256"]:
        raise CheckFailed("the image is not the one that was stored")


def _admin(engine: Engine, *arguments: str) -> dict[str, Any]:
    printed = engine.compose("exec", "--no-TTY", "api", "python", "-m", "admin", *arguments)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found
