"""`python -m admin` as a process on a database of a test."""

import json
import os
import sys
from asyncio import create_subprocess_exec, subprocess, timeout
from pathlib import Path
from typing import Any

from tests.support.time_limits import scaled

_ROOT = Path(__file__).parents[2]
_SECONDS = 60


async def admin(database_url: str, *arguments: str) -> tuple[int | None, Any]:
    """Return the exit code, and the JSON that was printed; the text of errors, if there is none."""
    process = await create_subprocess_exec(
        *(sys.executable, "-m", "admin", *arguments),
        cwd=_ROOT,
        env=os.environ
        | {
            "MASTER_KEY": "a master key that only these tests use",
            "DATABASE_URL": database_url,
            "S3_ACCESS_KEY": "nobody",
            "S3_SECRET_KEY": "nothing",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with timeout(scaled(_SECONDS)):
        output, errors = await process.communicate()
    return process.returncode, json.loads(output) if output else errors.decode()
