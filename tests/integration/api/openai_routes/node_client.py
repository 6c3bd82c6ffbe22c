"""OpenAI's official client for Node, installed by npm into the cache folder: pinned, without its scripts."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devstack.install.cache import make_once
from devstack.process.stop_flag import StopFlag
from tests.support.time_limits import scaled

_HERE = Path(__file__).parent / "node"
_FILES = ("package.json", "package-lock.json")
_INSTALL_SECONDS, _CALL_SECONDS, _NEEDED_BYTES = 120, 60, 100_000_000


def installed_client() -> Path:
    """Return the folder that the client is installed in; skip, outside CI, where there is no Node."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        if os.environ.get("CI"):
            pytest.fail("node and npm are needed")
        pytest.skip("node and npm are needed")
    digest = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _FILES)).hexdigest()

    def install(folder: Path) -> Path:
        for name in _FILES:
            shutil.copy(_HERE / name, folder)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=folder, check=True, timeout=scaled(_INSTALL_SECONDS))  # noqa: S603
        return folder

    name = f"openai-node-{digest[:16]}"
    return make_once(name, install, needed_bytes=_NEEDED_BYTES, stop=StopFlag(), log=lambda _: None)


class NodeClient:
    """Calls of the client, each in a process of its own."""

    def __init__(self, folder: Path, url: str, key: str) -> None:
        self._folder = folder
        self._url = url
        self._key = key

    async def call(self, method: str, body: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Return `result` or `error` of a call."""
        asked = {"url": f"{self._url}/v1", "key": self._key, "method": method, "body": body, **options}
        script = str(_HERE / "ask.mjs")
        process = await asyncio.create_subprocess_exec(
            "node", script, str(self._folder), json.dumps(asked), stdout=subprocess.PIPE
        )
        try:
            async with asyncio.timeout(scaled(_CALL_SECONDS)):
                said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        answer: dict[str, Any] = json.loads(said)
        return answer


ClientAt = Callable[[str], NodeClient]
