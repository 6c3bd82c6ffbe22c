"""`python -m benchmarks [NAME …]`: benchmarks, each on a stack of its own with temporary data.

Without a name: throughput and latency. `all`: every one.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import against, burst, growth, latency, levels, memory, processes, report, throughput, waiters
from benchmarks.blocking import run_until_stopped, stop_flag_for
from benchmarks.contention import reserves, slots
from benchmarks.dbos import __main__ as dbos
from benchmarks.errors import RunFailed
from benchmarks.options import Options
from benchmarks.report import Result
from benchmarks.rounds import Turns
from benchmarks.stacks import DEV, POSTGRES
from devstack.errors import Interrupted, StackError
from devstack.process.log import log
from devstack.process.private_files import write_private_json
from devstack.process.stop_flag import StopFlag
from devstack.servers.app_processes import ROOT
from runtime.process import run

INTERRUPTED_EXIT_CODE = 130
GENERATIONS_MAX = 5_000
AT_ONCE_MAX = 500
Benchmark = Callable[[Options], Awaitable[Result]]


async def _throughput_on_postgres(options: Options) -> Result:
    return await throughput.measure(replace(options, temporal=POSTGRES))


STANDARD: dict[str, Benchmark] = {"throughput": throughput.measure, "latency": latency.measure}
BENCHMARKS: dict[str, Benchmark] = STANDARD | {
    "throughput-on-postgres": _throughput_on_postgres,
    "levels": levels.measure,
    "processes": processes.measure,
    "growth": growth.measure,
    "burst": burst.measure,
    "memory": memory.measure,
    "waiters": waiters.measure,
    "slots": slots.measure,
    "reserves": reserves.measure,
    "against": against.measure,
    "dbos": dbos.measure,
}


async def bench(asked: argparse.Namespace, stop: asyncio.Event) -> int:
    """Return the exit code: a missed goal is a result, only a failed run is a failure."""
    names = list(BENCHMARKS) if "all" in asked.names else asked.names or list(STANDARD)
    try:
        async with stop_flag_for(stop) as flag:
            return await run_until_stopped(stop, _run_all(names, _options(asked, flag), asked.json))
    except Interrupted:
        log("stopped")
        return INTERRUPTED_EXIT_CODE


async def _run_all(names: Sequence[str], options: Options, path: Path) -> int:
    """Run one after the other; one that fails does not keep the others from running."""
    numbers: dict[str, Any] = {"date": datetime.now(UTC).isoformat(timespec="seconds")}
    numbers |= {name: getattr(options, name) for name in _ASKED} | {"rounds": options.turns.rounds}
    failed = 0
    for name in names:
        begun = time.monotonic()
        try:
            result = await BENCHMARKS[name](options)
        except (StackError, RunFailed) as error:
            sys.stderr.write(f"{name}: {error}\n")
            failed += 1
            continue
        report.show(result)
        found = dict(result.numbers) | {"goals": {goal.what: goal.verdict for goal in result.goals}}
        numbers[name] = found
        if name in STANDARD:  # scripts find these at the top
            numbers |= found | {"goals": numbers.get("goals", {}) | found["goals"]}
        _write(path, numbers)
        log(f"{name} took {time.monotonic() - begun:.0f} s")
    log(f"all numbers: {path}")
    return 1 if failed else 0


_ASKED = ("generations", "at_once", "idle_samples", "scale", "temporal")


def _options(asked: argparse.Namespace, stop: StopFlag) -> Options:
    turns = Turns(asked.rounds, asked.spare)
    return Options(stop, turns=turns, levels=asked.levels, **{name: getattr(asked, name) for name in _ASKED})


def _write(path: Path, numbers: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private_json(path, numbers)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--rounds", type=_between(1, 20), default=Turns.rounds, help="of each, in turn")
    parser.add_argument(
        "--spare", type=_between(0, 20), default=Turns.spare, help="more rounds while the runs differ"
    )
    parser.add_argument("--generations", type=_between(1, GENERATIONS_MAX), default=Options.generations)
    parser.add_argument("--at-once", type=_between(1, AT_ONCE_MAX), default=Options.at_once)
    parser.add_argument(
        "--levels", type=_between(1, AT_ONCE_MAX), nargs="+", default=Options.levels, help="of the curve"
    )
    parser.add_argument(
        "--idle-samples",
        type=_between(1, 500),
        default=Options.idle_samples,
        help="one after the other, for latencies without load",
    )
    parser.add_argument(
        "--scale", type=float, default=Options.scale, help="of all other sizes: 0.01 for a quick try"
    )
    parser.add_argument("--json", type=Path, default=ROOT / ".darkroom" / "bench.json", metavar="PATH")
    parser.add_argument(
        "--temporal",
        choices=(DEV, POSTGRES),
        default=DEV,
        help="Temporal's development server, or its server on PostgreSQL (built with Go, once)",
    )
    return parser


def _between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value

    return number


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    asked = parser.parse_args(arguments)
    if unknown := set(asked.names) - {"all", *BENCHMARKS}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are all, {', '.join(BENCHMARKS)}")
    return asked


if __name__ == "__main__":
    options = _asked(sys.argv[1:])
    run(lambda stop: bench(options, stop))
