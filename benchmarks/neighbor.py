"""`python -m benchmarks.neighbor`: what one tenant waits beside another that sends as fast as it can.

On a stack of its own with temporary data, and the settings of `make up`. Alone and beside the flood in turn,
so that what else the machine does is in both. The flood is a process of its own on the same machine, and
takes processor time that a real one would not.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.blocking import run_until_stopped, stop_flag_for
from benchmarks.darkroom_target import DarkroomTarget, darkroom_target
from benchmarks.flood import KINDS
from benchmarks.load import Sample, run_samples
from benchmarks.percentiles import percentile
from benchmarks.stacks import bench_stack
from devstack.process.log import log
from devstack.process.stop_flag import StopFlag
from devstack.stack.client_account import ClientAccount
from devstack.stack.running import Stack
from runtime.process import run

_RAMP_SECONDS = 3.0
_CREDITS = 1_000_000


@dataclass(frozen=True)
class Plan:
    """rounds: of each kind of flood. samples: of the tenant, in each half of a round, every few seconds."""

    rounds: int
    samples: int
    every_seconds: float
    connections: int


@dataclass(frozen=True)
class Timed:
    """seconds: from the request to the end that its client saw."""

    sample: Sample
    seconds: float


@dataclass
class Beside:
    """What the tenant saw, alone and beside a flood of a kind; and what the flood was answered."""

    kind: str
    alone: list[Timed] = field(default_factory=list)
    beside: list[Timed] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)


async def _timed(target: DarkroomTarget) -> Timed:
    begun = time.perf_counter()
    return Timed(await target.sample(), time.perf_counter() - begun)


async def _paced(target: DarkroomTarget, plan: Plan) -> list[Timed]:
    """Post one generation after the other at a fixed pace, and wait for all of them."""
    tasks = []
    for _ in range(plan.samples):
        tasks.append(asyncio.create_task(_timed(target)))
        await asyncio.sleep(plan.every_seconds)
    return await asyncio.gather(*tasks)


async def _start_flood(
    stack: Stack, tenant: ClientAccount, kind: str, plan: Plan
) -> asyncio.subprocess.Process:
    """Start a flood that ends by itself, when the tenant has posted."""
    seconds = _RAMP_SECONDS + plan.samples * plan.every_seconds
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.flood", stack.api_url, f"--kind={kind}"),
        *(f"--connections={plan.connections}", f"--seconds={seconds}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(f"{tenant.api_key}\n".encode())
    await process.stdin.drain()
    return process


async def _measure(stack: Stack, target: DarkroomTarget, kind: str, plan: Plan) -> Beside:
    result = Beside(kind)
    for number in range(plan.rounds):
        tenant = await asyncio.to_thread(stack.open_tenant, f"flood_{kind}_{number}", _CREDITS)
        log(f"{kind}, round {number + 1}: alone, then beside {plan.connections} connections …")
        result.alone += await _paced(target, plan)
        flood = await _start_flood(stack, tenant, kind, plan)
        try:
            await asyncio.sleep(_RAMP_SECONDS)
            result.beside += await _paced(target, plan)
            output, _ = await flood.communicate()
        finally:
            if flood.returncode is None:
                flood.kill()
        result.statuses.update(json.loads(output))
    return result


async def _measured(kinds: list[str], plan: Plan, flag: StopFlag) -> list[Beside]:
    async with bench_stack(flag) as on, darkroom_target(on.address) as target:
        log("warming up …")
        await run_samples(target, 20, at_once=5)
        return [await _measure(on.stack, target, kind, plan) for kind in kinds]


def show(results: list[Beside]) -> None:
    """Print for each kind of flood the medians and their ratio, and what it was answered."""
    out = sys.stdout.write
    for result in results:
        for name, alone, beside in (
            ("accept", _accept(result.alone), _accept(result.beside)),
            ("webhook to completed", _reaction(result.alone), _reaction(result.beside)),
            ("request to completed", _whole(result.alone), _whole(result.beside)),
        ):
            medians = percentile(alone, 50), percentile(beside, 50)
            out(f"flood of {result.kind}: {name} p50 {1000 * medians[0]:.0f} ms alone,")
            out(f" {1000 * medians[1]:.0f} ms beside it: {medians[1] / medians[0]:.2f}\n")
        out(f"flood of {result.kind}: answers {dict(result.statuses)}\n")


def _accept(timed: list[Timed]) -> list[float]:
    return [each.sample.accept_seconds for each in timed]


def _reaction(timed: list[Timed]) -> list[float]:
    return [each.sample.reaction_seconds for each in timed if each.sample.reaction_seconds is not None]


def _whole(timed: list[Timed]) -> list[float]:
    return [each.seconds for each in timed]


async def bench(kinds: list[str], plan: Plan, stop: asyncio.Event) -> int:
    async with stop_flag_for(stop) as flag:
        show(await run_until_stopped(stop, _measured(kinds, plan, flag)))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["posts", "reads"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=30, help="in each half of a round")
    parser.add_argument("--every", type=float, default=0.3, help="seconds between two of its posts")
    parser.add_argument("--connections", type=int, default=50, help="of the flood")
    asked = parser.parse_args()
    plan = Plan(asked.rounds, asked.samples, asked.every, asked.connections)
    run(lambda stop: bench(asked.kinds, plan, stop))
