"""The stack's commands as background processes."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devstack.process.signals import wait_gone
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[2]
READY_TIMEOUT_SECONDS = 60.0
END_TIMEOUT_SECONDS = 40.0


class Running:
    """One `python -m devstack …`, and its output."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def output(self) -> str:
        return self._output.read_text()

    async def says(self, text: str) -> None:
        """Wait until it has printed this text."""

        async def has_said() -> bool:
            assert self.process.poll() is None or text in self.output, f"it ended:\n{self.output}"
            return text in self.output

        await eventually(has_said, READY_TIMEOUT_SECONDS)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(scaled(END_TIMEOUT_SECONDS))


@contextmanager
def devstack(*arguments: str, output: Path) -> Iterator[Running]:
    """Run it in its own session with SIGINT ignored, as a background shell does."""
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _IGNORING_SIGINT, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Running(process, output)
    try:
        yield running
    finally:
        if process.poll() is None:
            running.end()


_IGNORING_SIGINT = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "os.execv(sys.executable, [sys.executable, '-m', 'devstack', *sys.argv[1:]])"
)


def alive(pids: dict[str, int]) -> set[int]:
    """Return the processes that are still alive a second later."""
    return wait_gone(pids.values(), 1.0)
