"""`python -m benchmarks.dbos`: Darkroom beside the same lifecycle on DBOS, in turn on one stack."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import report
from benchmarks.blocking import in_thread, run_until_stopped, stop_flag_for
from benchmarks.darkroom_target import darkroom_target
from benchmarks.dbos import report as comparison
from benchmarks.dbos.checks import check_side
from benchmarks.dbos.compare import Comparison, compare
from benchmarks.dbos.environment import ready_python
from benchmarks.dbos.side import MAX_PROCESSES, create_databases, start_side
from benchmarks.errors import RunFailed
from benchmarks.options import Options
from benchmarks.report import Result
from benchmarks.stacks import address_of
from devstack.errors import Interrupted, StackError
from devstack.process.log import log
from devstack.process.private_files import write_private_json
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import SUPERVISOR
from devstack.servers.app_processes import ROOT
from devstack.stack.running import Stack, running_stack
from runtime.process import run

INTERRUPTED_EXIT_CODE = 130
# As in `python -m benchmarks`: those of production, but for a provider who takes as many as we can submit.
SETTINGS = {"FAL_SUBMITS_PER_SECOND": "1000", "WORKER_GRACE_SECONDS": "8"}
SIMULATOR = ("--job-seconds", "0.5")


async def bench(options: argparse.Namespace, stop: asyncio.Event) -> int:
    try:
        async with stop_flag_for(stop) as flag:
            found = await run_until_stopped(stop, _on_a_stack(options, flag))
    except Interrupted:
        log("stopped")
        return INTERRUPTED_EXIT_CODE
    except (StackError, RunFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    result = comparison.result(found)
    report.show(result)
    asked = {name: value for name, value in vars(options).items() if name != "json"}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    write_private_json(options.json, {"date": date} | asked | dict(result.numbers))
    log(f"all numbers: {options.json}")
    return 0


async def measure(options: Options) -> Result:
    """Compare as one of all benchmarks, with what is asked of them."""
    asked = parser().parse_args([])
    asked.generations, asked.at_once, asked.rounds = (
        options.generations,
        options.at_once,
        options.turns.rounds,
    )
    found = await _on_a_stack(asked, options.stop)
    return comparison.result(found)


async def _on_a_stack(options: argparse.Namespace, stop: StopFlag) -> Comparison:
    python = await asyncio.to_thread(ready_python, log)
    starting = running_stack(settings=SETTINGS, simulator_arguments=SIMULATOR, stop=stop)
    async with in_thread(starting) as stack:
        return await _compared(options, stack, python)


async def _compared(options: argparse.Namespace, stack: Stack, python: Path) -> Comparison:
    log("starting the DBOS side …")
    await create_databases(stack.servers.postgres.url)
    on_dbos = await asyncio.to_thread(
        start_side,
        stack,
        python,
        polling_seconds=options.queue_polling_seconds,
        processes=options.processes,
    )
    log("checking the DBOS side: a lost webhook, a cancel, a refusal …")
    await check_side(on_dbos)
    pids = {name: pid for name, pid in stack.supervisor.pids.items() if name != SUPERVISOR}
    async with (
        darkroom_target(address_of(stack)) as darkroom,
        darkroom_target(address_of(on_dbos)) as dbos,
    ):
        return await compare(
            (darkroom, dbos),
            pids,
            generations=options.generations,
            at_once=options.at_once,
            rounds=options.rounds,
            log=log,
        )


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m benchmarks.dbos", description=__doc__)
    found.add_argument("--generations", type=int, default=200, choices=range(1, 1001), metavar="1-1000")
    found.add_argument("--at-once", type=int, default=40, choices=range(1, 501), metavar="1-500")
    found.add_argument(
        "--rounds", type=int, default=3, choices=range(1, 10), metavar="1-9", help="of each side"
    )
    found.add_argument(
        "--queue-polling-seconds",
        type=float,
        default=1.0,
        help="how often DBOS's worker looks for accepted generations; 1 is DBOS's default",
    )
    found.add_argument(
        "--processes",
        type=int,
        default=MAX_PROCESSES,
        choices=(1, MAX_PROCESSES),
        help="of DBOS: worker and API as ours are, or one that is both",
    )
    found.add_argument("--json", type=Path, default=ROOT / ".darkroom" / "bench-dbos.json", metavar="PATH")
    return found


if __name__ == "__main__":
    asked = parser().parse_args()
    run(lambda stop: bench(asked, stop))
