"""How long a client may leave its response unread, by a clock that the test moves."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn.server import ServerState

from api.server.addresses import TrustedProxies
from api.server.config import ServerConfig
from api.server.connections import ConnectionLimits
from api.server.protocol import BoundedProtocol

PATIENCE_SECONDS = 60.0
# What asyncio's transport lets through between two pauses, by default.
LOW_BYTES, HIGH_BYTES = 16_384, 65_536


class Clock(asyncio.SelectorEventLoop):
    """A loop that does not run: its time is moved, and what is due then is called."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1000.0
        self.timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.seconds

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(self.seconds + delay, callback, args, self)
        self.timers.append(timer)
        return timer

    def move(self, seconds: float) -> None:
        self.seconds += seconds
        due = [timer for timer in self.timers if timer.when() <= self.seconds]
        self.timers = [timer for timer in self.timers if timer not in due and not timer.cancelled()]
        for timer in due:
            if not timer.cancelled():
                timer._run()


class Unread(asyncio.Transport):
    """A transport whose buffer is always full."""

    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def get_write_buffer_size(self) -> int:
        return HIGH_BYTES

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return LOW_BYTES, HIGH_BYTES


@pytest.mark.parametrize(
    ("bytes_per_second", "pauses"), [(100_000, None), (11_000, None), (9_000, 101), (1_000, 2), (100, 1)]
)
def test_a_client_is_dropped_by_how_much_it_takes(bytes_per_second: int, pauses: int | None) -> None:
    clock, transport = Clock(), Unread()
    limits = ConnectionLimits(head_seconds=1e9, write_seconds=PATIENCE_SECONDS)
    config = ServerConfig(lambda *_: None, limits=limits, proxies=TrustedProxies())  # type: ignore[arg-type]
    protocol = BoundedProtocol(config, ServerState(), {}, _loop=clock)
    protocol.connection_made(transport)

    count = 0
    while not transport.is_aborted and count < 1000:
        count += 1
        protocol.pause_writing()
        clock.move((HIGH_BYTES - LOW_BYTES) / bytes_per_second)
        if not transport.is_aborted:
            protocol.resume_writing()
    clock.close()

    assert count == (pauses or 1000)
