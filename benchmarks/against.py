"""`python -m benchmarks.against COMMIT`: what a generation costs here, and what it cost at another commit.

Both stacks run side by side, each from its own checkout with its own migrations, and are put under load in
turn by the driver of this checkout, which posts over HTTP and reads rows.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import report
from benchmarks.blocking import in_thread, run_until_stopped, stop_flag_for
from benchmarks.cost import WITHOUT_ELSEWHERE, WITHOUT_TEMPORAL, run_loaded
from benchmarks.darkroom_target import REQUEST, Address, darkroom_target
from benchmarks.errors import RunFailed
from benchmarks.options import Options
from benchmarks.pair import warm_up
from benchmarks.report import Goal, Result, compared
from benchmarks.rounds import Reading, Turns, in_turn
from benchmarks.stacks import JOB_SECONDS
from devstack.errors import Interrupted, StackError
from devstack.process import data_directory
from devstack.process.log import log
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import SUPERVISOR
from devstack.servers.app_processes import ROOT
from devstack.stack.stack_file import read
from runtime.process import run

MAX_COST_RATIO = 0.5
# Before a step was one round trip.
REFERENCE = "5a810c0"
OURS = f"{WITHOUT_TEMPORAL}, ms"
_GIT_SECONDS = 60.0
_READY_SECONDS = 300.0
_STOP_SECONDS = 60.0
# As in production, where `up` has shorter waits. What a job takes is said in its prompt: `up` has no option.
_SETTINGS = {
    "FAL_SUBMITS_PER_SECOND": "1000",
    "WORKER_GRACE_SECONDS": "8",
    "RECONCILE_EVERY_SECONDS": "60",
    "DEADLINE_CAP_SECONDS": "900",
    "FIRST_POLL_CAP_SECONDS": "60",
}
_PROMPT = {"prompt": f"[sim:latency={JOB_SECONDS}] A lighthouse in the fog, linocut in two colors"}


@dataclass(frozen=True)
class Running:
    """A stack that another process runs. pids: of its parts."""

    address: Address
    pids: Mapping[str, int]


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Check a commit out into a temporary folder for the block. Raises RunFailed."""
    with tempfile.TemporaryDirectory(prefix="darkroom-against-") as folder:
        path = Path(folder) / "checkout"
        _git("worktree", "add", "--detach", str(path), commit)
        try:
            yield path
        finally:
            _git("worktree", "remove", "--force", str(path))


def _git(*arguments: str) -> None:
    done = subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_GIT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RunFailed(f"git {arguments[0]} failed: {done.stderr.strip()}")


@asynccontextmanager
async def _stack_of(root: Path, stop: StopFlag) -> AsyncIterator[Running]:
    """Run `python -m devstack up` of a checkout on temporary data for the block."""
    async with in_thread(data_directory.temporary_folder()) as parent:
        folder = parent / "stack"
        log(f"starting the stack of {root.name} …")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "devstack", "--data-dir", str(folder), "up"),
            cwd=root,
            env=dict(os.environ) | _SETTINGS,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            await asyncio.to_thread(
                stop.wait_until,
                lambda: bool(read(folder).get("pids")) or process.returncode is not None,
                what=f"the stack of {root}",
                timeout_seconds=_READY_SECONDS,
            )
            yield _running(root, read(folder))
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()


def _running(root: Path, facts: Mapping[str, object]) -> Running:
    match facts:
        case {"api_url": str(api), "api_key": str(key), "database_url": str(database), "pids": dict(pids)}:
            parts = {str(name): int(pid) for name, pid in pids.items() if name != SUPERVISOR}
            return Running(Address((api,), key, database), parts)
        case _:
            raise RunFailed(f"the stack of {root} did not start")


async def measure(options: Options) -> Result:
    """Compare with the reference as one of all benchmarks."""
    return await compare(REFERENCE, options.turns, options.generations, options.at_once, options.stop)


async def compare(commit: str, turns: Turns, generations: int, at_once: int, stop: StopFlag) -> Result:
    async with (
        in_thread(checkout(commit)) as other_root,
        _stack_of(other_root, stop) as other,
        _stack_of(ROOT, stop) as this,
        darkroom_target(other.address, REQUEST | _PROMPT) as other_target,
        darkroom_target(this.address, REQUEST | _PROMPT) as this_target,
    ):
        names = {commit: (other, other_target), "here": (this, this_target)}
        for _, target in names.values():
            await warm_up(target, generations)

        async def load(name: str) -> Reading:
            log(f"{name}: {generations} generations, {at_once} at once …")
            running, target = names[name]
            return (await run_loaded(target, generations, at_once, running.pids)).reading

        contenders = {name: partial(load, name) for name in names}
        comparison = await in_turn(contenders, turns, steady=(OURS,))
    cost = comparison.ratio("here", commit, OURS)
    return Result(
        [compared(f"Here and at {commit}", comparison, "here", commit)],
        [
            Goal.of(
                "worker, API, PostgreSQL and store together, times the cost there",
                cost,
                at_most=MAX_COST_RATIO,
            )
        ],
        [f"The first sum is of all parts; {WITHOUT_ELSEWHERE} is what an operator runs."],
        comparison.as_json(),
    )


async def bench(asked: argparse.Namespace, stop: asyncio.Event) -> int:
    try:
        async with stop_flag_for(stop) as flag:
            comparing = compare(
                asked.commit, Turns(asked.rounds, asked.spare), asked.generations, asked.at_once, flag
            )
            report.show(await run_until_stopped(stop, comparing))
    except Interrupted:
        log("stopped")
        return 130
    except (StackError, RunFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=Turns.rounds)
    parser.add_argument("--spare", type=int, default=Turns.spare, help="more rounds while the runs differ")
    parser.add_argument("--generations", type=int, default=200, help="in each run; at most 1000")
    parser.add_argument("--at-once", type=int, default=40)
    given = parser.parse_args()
    run(lambda stop: bench(given, stop))
