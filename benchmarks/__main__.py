"""`python -m benchmarks`: the whole benchmark, on its own stack with temporary data."""

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine, report
from benchmarks.baseline.target import baseline_target
from benchmarks.blocking import in_thread, run_until_stopped, stop_flag_for
from benchmarks.darkroom_target import darkroom_target
from benchmarks.errors import RunFailed
from benchmarks.scenario import Measured, Plan, measure
from benchmarks.temporal.on_postgres import temporal_on_postgres
from composition.temporal import TemporalAddress, connect
from devstack.errors import Interrupted, StackError
from devstack.process.log import log
from devstack.process.private_files import write_private_json
from devstack.process.supervisor import SUPERVISOR
from devstack.servers.app_processes import ROOT
from devstack.stack.running import Stack, running_stack
from runtime.process import run

INTERRUPTED_EXIT_CODE = 130
JOB_SECONDS = 0.5
# The settings of production, but for a provider who takes as many as we can submit.
SETTINGS = {"FAL_SUBMITS_PER_SECOND": "1000", "WORKER_GRACE_SECONDS": "8"}
# The stack's client has 10,000 credits.
GENERATIONS_MAX = 9_000
AT_ONCE_MAX = 500
IDLE_SAMPLES_MAX = 500


async def bench(options: argparse.Namespace, stop: asyncio.Event) -> int:
    """Return the exit code: a missed budget is a result, only a failed run is a failure."""
    plan = Plan(options.generations, options.at_once, options.idle_samples)
    try:
        measured, facts = await _on_a_stack(plan, options.temporal, stop)
    except Interrupted:
        log("stopped")
        return INTERRUPTED_EXIT_CODE
    except (StackError, RunFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    report.show(measured, facts)
    _write(options, report.as_json(measured) | {"machine": facts})
    return 0


async def _on_a_stack(plan: Plan, temporal: str, stop: asyncio.Event) -> tuple[Measured, dict[str, Any]]:
    async with AsyncExitStack() as exits:
        flag = await exits.enter_async_context(stop_flag_for(stop))
        pids: dict[str, int] = {}
        if temporal == "postgres":
            pids |= await exits.enter_async_context(in_thread(temporal_on_postgres(flag, log)))
        starting = running_stack(
            settings=SETTINGS, simulator_arguments=("--job-seconds", str(JOB_SECONDS)), stop=flag
        )
        stack = await exits.enter_async_context(in_thread(starting))
        pids |= {name: pid for name, pid in stack.supervisor.pids.items() if name != SUPERVISOR}
        return await run_until_stopped(stop, _measured(plan, stack, pids))


async def _measured(plan: Plan, stack: Stack, pids: dict[str, int]) -> tuple[Measured, dict[str, Any]]:
    where = TemporalAddress(stack.servers.temporal.address, stack.servers.temporal.namespace)
    client = await connect(where)
    facts = await machine.facts(client, stack)
    async with (
        darkroom_target(stack) as darkroom,
        baseline_target(client, where, job_seconds=JOB_SECONDS) as baseline,
    ):
        pids = pids | {"baseline worker": baseline.worker_pid}
        return await measure(plan, client, darkroom, baseline, pids, log), facts


def _write(options: argparse.Namespace, numbers: dict[str, Any]) -> None:
    path: Path = options.json
    path.parent.mkdir(parents=True, exist_ok=True)
    asked = {name: getattr(options, name) for name in ("generations", "at_once", "idle_samples", "temporal")}
    write_private_json(path, {"date": datetime.now(UTC).isoformat(timespec="seconds")} | asked | numbers)
    log(f"all numbers: {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--generations", type=_between(1, GENERATIONS_MAX), default=Plan.generations)
    parser.add_argument("--at-once", type=_between(1, AT_ONCE_MAX), default=Plan.at_once)
    parser.add_argument(
        "--idle-samples",
        type=_between(1, IDLE_SAMPLES_MAX),
        default=Plan.idle_samples,
        help="one after the other, for latencies without load",
    )
    parser.add_argument("--json", type=Path, default=ROOT / ".darkroom" / "bench.json", metavar="PATH")
    parser.add_argument(
        "--temporal",
        choices=("dev", "postgres"),
        default="dev",
        help="Temporal's development server, or its server on PostgreSQL (built with Go, once)",
    )
    return parser


def _between(least: int, most: int) -> Any:
    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    return number


if __name__ == "__main__":
    asked = _parser().parse_args()
    run(lambda stop: bench(asked, stop))
