"""How a process starts, logs and ends."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from textwrap import indent
from typing import Any, NoReturn

# After its last call the Temporal client's native threads need a moment; without it every third exit is a
# crash, and with a call still open the interpreter hangs (sdk-python issue 300).
_LET_GO_SECONDS = 0.05
# Everything that ends a line or moves a terminal's cursor.
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in _CONTROLS}


def run(
    main: Callable[[asyncio.Event], Coroutine[Any, Any, int]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> NoReturn:
    """Run `main` to its exit code. It is given an event that INT, TERM and HUP set.

    The only way out of a process that held a Temporal client.
    """
    code = 1
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            code = runner.run(_until_stopped(main))
    except Exception:
        logging.getLogger("darkroom").exception("stopped by an error")
    finally:
        leave(code)


def leave(code: int) -> NoReturn:
    """Flush and end at once, so that no finalizer of a native thread can change the exit code."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def let_go() -> None:
    """Cancel what is still open on this loop and give native threads their moment."""
    pending = asyncio.all_tasks() - {asyncio.current_task()}
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    await asyncio.sleep(_LET_GO_SECONDS)


async def _until_stopped(main: Callable[[asyncio.Event], Awaitable[int]]) -> int:
    stop = asyncio.Event()
    # Set explicitly: the children of a background shell inherit SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        return await main(stop)
    finally:
        await let_go()


class _OneLine(logging.Formatter):
    """Keeps what others wrote, such as a provider's message, from looking like a record of ours."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base's name
        record.message = record.message.translate(_ESCAPES)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the base's name
        return indent(super().formatException(ei), "    ", predicate=lambda _: True)


def configure_logging(level: str) -> None:
    """Log one line per record to standard error. Of httpx, which logs whole addresses, only warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    for noisy in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
