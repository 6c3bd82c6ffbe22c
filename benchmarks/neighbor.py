"""`python -m benchmarks.neighbor`: what one tenant waits beside another that sends as fast as it can.

On a stack of its own with temporary data, and the settings of `make up`. Alone and beside the flood in turn,
so that what else the machine does is in both. The flood is a process of its own on the same machine, and
takes processor time that a real one would not.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from benchmarks.blocking import in_thread, run_until_stopped, stop_flag_for
from benchmarks.darkroom_target import DarkroomTarget, darkroom_target
from benchmarks.load import Sample, run_samples
from benchmarks.overload import SETTINGS, SIMULATOR
from benchmarks.percentiles import percentile
from devstack.process.log import log
from devstack.stack.client_account import ClientAccount
from devstack.stack.running import Stack, running_stack
from runtime.process import run

_PAUSE_SECONDS = 0.2
_FLOOD_SECONDS = 120.0
_RAMP_SECONDS = 3.0
_CREDITS = 1_000_000


@dataclass(frozen=True)
class Beside:
    """What the tenant saw, alone and beside the flood; and what the flood was answered."""

    kind: str
    alone: list[Sample]
    beside: list[Sample]
    statuses: Counter[str]


@asynccontextmanager
async def _flood(
    stack: Stack, tenant: ClientAccount, kind: str, connections: int
) -> AsyncIterator[Counter[str]]:
    """Run the flood for the block; the counter is filled when it is over."""
    statuses: Counter[str] = Counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.flood", stack.api_url, f"--kind={kind}"),
        *(f"--connections={connections}", f"--seconds={_FLOOD_SECONDS}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(f"{tenant.api_key}\n".encode())
    await process.stdin.drain()
    try:
        await asyncio.sleep(_RAMP_SECONDS)
        yield statuses
    finally:
        if process.returncode is None:
            process.kill()
        output, _ = await process.communicate()
        if output:
            statuses.update(json.loads(output))


async def _measured(
    stack: Stack, kinds: list[str], rounds: int, count: int, connections: int
) -> list[Beside]:
    found = []
    async with darkroom_target(stack) as target:
        log("warming up …")
        await run_samples(target, 20, at_once=5)
        for kind in kinds:
            tenant = await asyncio.to_thread(stack.open_tenant, f"flood_{kind}", _CREDITS)
            found.append(await _one_kind(stack, target, tenant, kind, rounds, count, connections))
    return found


async def _one_kind(
    stack: Stack,
    target: DarkroomTarget,
    tenant: ClientAccount,
    kind: str,
    rounds: int,
    count: int,
    connections: int,
) -> Beside:
    result = Beside(kind, [], [], Counter())
    for number in range(rounds):
        log(f"{kind}, round {number + 1}: alone, then beside {connections} connections …")
        alone = await run_samples(target, count, pause_seconds=_PAUSE_SECONDS)
        async with _flood(stack, tenant, kind, connections) as statuses:
            beside = await run_samples(target, count, pause_seconds=_PAUSE_SECONDS)
        result.alone.extend(alone.samples)
        result.beside.extend(beside.samples)
        result.statuses.update(statuses)
    return result


def show(results: list[Beside]) -> None:
    """Print a line for each kind of flood: the medians, and their ratio."""
    out = sys.stdout.write
    for result in results:
        for name, of in (("accept", _accept), ("webhook to completed", _reaction)):
            alone, beside = percentile(of(result.alone), 50), percentile(of(result.beside), 50)
            out(f"flood of {result.kind}: {name} p50 {1000 * alone:.0f} ms alone,")
            out(f" {1000 * beside:.0f} ms beside it: {beside / alone:.2f}\n")
        out(f"flood of {result.kind}: answers {dict(result.statuses)}\n")


def _accept(samples: list[Sample]) -> list[float]:
    return [sample.accept_seconds for sample in samples]


def _reaction(samples: list[Sample]) -> list[float]:
    return [sample.reaction_seconds for sample in samples if sample.reaction_seconds is not None]


async def bench(asked: argparse.Namespace, stop: asyncio.Event) -> int:
    async with AsyncExitStack() as exits:
        flag = await exits.enter_async_context(stop_flag_for(stop))
        starting = running_stack(settings=SETTINGS, simulator_arguments=SIMULATOR, stop=flag)
        stack = await exits.enter_async_context(in_thread(starting))
        measured = _measured(stack, asked.kinds, asked.rounds, asked.samples, asked.connections)
        show(await run_until_stopped(stop, measured))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=("posts", "reads"), default=["posts", "reads"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=20, help="of each round")
    parser.add_argument("--connections", type=int, default=50, help="of the flood")
    arguments = parser.parse_args()
    run(lambda stop: bench(arguments, stop))
