"""A worker that kills itself once, before or after an effect.

`python -m tests.support.crashing_worker STEP before|after MARK` writes MARK as it dies, and never dies again
while MARK is there.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from adapters.database.batch_runs import PostgresBatchRuns
from adapters.database.ledger import PostgresLedger
from adapters.providers.fal.adapter import FalProvider
from adapters.storage.s3 import S3Store
from adapters.temporal import TemporalWorkflowClient
from composition import ServiceSettings
from runtime.logs import configure_logging
from runtime.process import run
from worker import serve

EFFECTS: dict[str, tuple[type, str]] = {
    "reserve": (PostgresLedger, "reserve"),
    "submit": (FalProvider, "submit"),
    "store": (S3Store, "put_object"),
    "complete": (PostgresLedger, "complete"),
    "begin_item": (PostgresBatchRuns, "begin_item"),
    "start_item": (TemporalWorkflowClient, "start_workflow"),
    "end_batch": (PostgresBatchRuns, "end_batch"),
}


def die_at(step: str, moment: str, mark: Path) -> None:
    """Wrap the effect where it touches the outside, in this process alone."""
    owner, name = EFFECTS[step]
    effect: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def mortal(*arguments: Any) -> Any:
        if moment == "before":
            _die_once(mark)
        answer = await effect(*arguments)
        if moment == "after":
            _die_once(mark)
        return answer

    setattr(owner, name, mortal)


def _die_once(mark: Path) -> None:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    step, moment, mark = sys.argv[1:]
    die_at(step, moment, Path(mark))
    settings = ServiceSettings()
    configure_logging(settings.log_level, settings.log_format)
    run(lambda stop: serve(settings, [], stop))


if __name__ == "__main__":
    main()
