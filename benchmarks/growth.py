"""What a generation costs with little and with much history, and how the statements read their tables.

Two stacks run side by side, so that their runs can be in turn. History is written by SQL: all that a million
generations leave behind in the tables, but no objects and no workflows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg

from benchmarks.cost import PER_SECOND, WITHOUT_ELSEWHERE, run_loaded
from benchmarks.darkroom_target import DarkroomTarget, darkroom_target
from benchmarks.options import Options
from benchmarks.pair import warm_up
from benchmarks.report import Goal, Result, Table, compared
from benchmarks.rounds import Comparison, Reading, in_turn
from benchmarks.stacks import BenchStack, bench_stack
from benchmarks.table_reads import LARGE_ROWS, TableReads, between, table_reads
from devstack.process.log import log
from devstack.stack.client_account import TENANT_ID

FEW, MANY = 1_000, 1_000_000
MAX_COST_RATIO = 1.1
ROUNDS = 2
COST = f"{WITHOUT_ELSEWHERE}, ms"
_AT_A_TIME = 50_000
_FILL = Path(__file__).with_suffix(".sql").read_text()
_FILL_SECONDS = 300.0


@dataclass(frozen=True)
class Grown:
    """A stack with history."""

    history: int
    on: BenchStack
    target: DarkroomTarget

    @property
    def name(self) -> str:
        return f"{self.history:,} before"


async def measure(options: Options) -> Result:
    few, many = options.scaled(FEW), options.scaled(MANY)
    async with (
        bench_stack(options.stop, temporal=options.temporal) as young,
        bench_stack(options.stop, temporal=options.temporal) as old,
        darkroom_target(young.address) as young_target,
        darkroom_target(old.address) as old_target,
    ):
        stacks = [Grown(many, old, old_target), Grown(few, young, young_target)]
        for each in stacks:
            await fill_history(each.on.database_url, each.history)
            await warm_up(each.target, options.generations)
        before = {each.name: await table_reads(each.on.database_url) for each in stacks}

        async def run(each: Grown) -> Reading:
            log(f"{options.generations} generations with {each.name} …")
            return (await run_loaded(each.target, options.generations, options.at_once, each.on.pids)).reading

        contenders = {each.name: partial(run, each) for each in stacks}
        comparison = await in_turn(contenders, options.turns.at_most(ROUNDS), steady=(PER_SECOND, COST))
        made = options.generations * (len(comparison.rounds) + comparison.dropped)
        reads = {
            each.name: between(before[each.name], await table_reads(each.on.database_url)) for each in stacks
        }
    return _result(comparison, reads, made)


async def fill_history(database_url: str, count: int) -> None:
    """Write all rows that so many generations leave behind; the statistics are those of full tables."""
    connection = await asyncpg.connect(database_url, timeout=_FILL_SECONDS, command_timeout=_FILL_SECONDS)
    try:
        for first in range(1, count + 1, _AT_A_TIME):
            last = min(count, first + _AT_A_TIME - 1)
            async with connection.transaction():
                await connection.execute(_FILL.format(first=first, last=last, tenant=TENANT_ID))
            log(f"wrote the history of {last:,} of {count:,} generations")
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")  # else it comes during the first run
    finally:
        await connection.close(timeout=_FILL_SECONDS)


def _result(comparison: Comparison, reads: Mapping[str, Mapping[str, TableReads]], made: int) -> Result:
    much, little = list(reads)
    tables = sorted(name for name, found in reads[much].items() if found.read)
    rows = [
        (
            name,
            f"{reads[much][name].rows:,}",
            *(f"{reads[each][name].read / made:.1f}" for each in (little, much)),
            f"{1000 * reads[much][name].whole / made:.1f}",
        )
        for name in tables
    ]
    read_whole = [name for name in tables if reads[much][name].is_large and reads[much][name].whole]
    goals = [
        Goal.of(f"{row}, {much} to {little}", ratio, at_most=at_most, at_least=at_least)
        for row, at_most, at_least in ((COST, MAX_COST_RATIO, None), (PER_SECOND, None, 1 / MAX_COST_RATIO))
        for ratio in (comparison.ratio(much, little, row),)
    ]
    goals.append(
        Goal(f"tables of {LARGE_ROWS:,} rows and more that are read whole", len(read_whole), at_most=0)
    )
    headings = ("table", f"rows, {much}", f"read each, {little}", f"read each, {much}", "whole, per 1,000")
    return Result(
        [
            compared("Throughput and cost", comparison, much, little),
            Table("Rows that statements read for a generation, reconciler included", headings, rows),
        ],
        goals,
        [f"Read whole: {', '.join(read_whole)}"] if read_whole else [],
        {"growth_runs": comparison.as_json(), "read_whole": read_whole, "reads": [list(row) for row in rows]},
    )
