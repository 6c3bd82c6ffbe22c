"""The limit of open descriptors, raised in a process of its own."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[3]
_, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
ALLOWED = 65_536 if HARD == resource.RLIM_INFINITY else min(HARD, 65_536)


def raised(soft: int, hard: int) -> int:
    program = (
        "import resource; from runtime.descriptors import raise_descriptor_limit as run;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));"
        "print(run(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=scaled(30)
    )
    returned, is_now = map(int, done.stdout.split())
    assert returned == is_now
    return returned


@pytest.mark.skipif(ALLOWED < 1024, reason="the system allows fewer")
def test_a_low_limit_is_raised() -> None:
    assert raised(256, HARD) in (ALLOWED, 10_240)


@pytest.mark.parametrize("limit", [100, 250])
def test_what_the_system_does_not_allow_stays(limit: int) -> None:
    assert raised(limit, limit) == limit
