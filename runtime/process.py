"""How a process runs, and the one way in which it ends."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn

# After its last call the Temporal client's native threads need a moment; without it every third exit is a
# crash, and with a call still open the interpreter hangs (sdk-python issue 300).
_LET_GO_SECONDS = 0.05


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
