"""One and two workers, one and two APIs: does a generation cost more, and what do they wait for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.blocking import in_thread
from benchmarks.cost import PER_SECOND, WITHOUT_ELSEWHERE, run_loaded
from benchmarks.darkroom_target import darkroom_target
from benchmarks.lock_profile import LockProfile, lock_profile
from benchmarks.options import Options
from benchmarks.pair import warm_up
from benchmarks.report import Goal, Result, Table, cell
from benchmarks.rounds import Comparison, Reading, in_turn
from benchmarks.stacks import BenchStack, bench_stack
from devstack.process import data_directory
from devstack.process.data_directory import DataDir
from devstack.process.log import log
from devstack.process.supervisor import SUPERVISOR, Supervisor
from devstack.servers import app_processes
from devstack.stack.running import WORKER_STOP_TIMEOUT_SECONDS, Stack

MAX_COST_RATIO = 1.1
# For rows of one table, in all that a generation does: more, and there is a row that everybody waits for.
MAX_WAITED_MS = 5.0
ROUNDS = 2
COST = f"{WITHOUT_ELSEWHERE}, ms"
ONE = (1, 1)
LAYOUTS = (ONE, (2, 1), (1, 2), (2, 2))


@dataclass(frozen=True)
class Extra:
    """Further processes: where the APIs are, and the pids by name."""

    api_urls: tuple[str, ...]
    pids: Mapping[str, int]


@contextmanager
def _extra(stack: Stack, workers: int, apis: int) -> Iterator[Extra]:
    """Run further workers and APIs on a stack's servers for the block."""
    with (
        data_directory.temporary_folder() as folder,
        (data := DataDir(folder)).held(),
        Supervisor(folder, stop=stack.supervisor.stop_flag) as supervisor,
    ):
        for number in range(2, workers + 2):
            _start_worker(supervisor, data, stack, f"worker {number}")
        urls = [_start_api(supervisor, data, stack, f"api {number}") for number in range(2, apis + 2)]
        pids = {name: pid for name, pid in supervisor.pids.items() if name != SUPERVISOR}
        yield Extra(tuple(urls), pids)


def _start_worker(supervisor: Supervisor, data: DataDir, stack: Stack, name: str) -> None:
    health = str(data.port(f"{name} health"))
    ports = {"WORKER_HEALTH_PORT": health, "WORKER_METRICS_PORT": str(data.port(f"{name} metrics"))}
    app_processes.start(
        supervisor,
        name,
        ("worker.py",),
        env={**stack.environment, **ports},
        ready_url=f"http://127.0.0.1:{health}/healthz",
        stop_timeout_seconds=WORKER_STOP_TIMEOUT_SECONDS,
    )


def _start_api(supervisor: Supervisor, data: DataDir, stack: Stack, name: str) -> str:
    port, internal = str(data.port(name)), str(data.port(f"{name} internal"))
    app_processes.start(
        supervisor,
        name,
        ("-m", "api"),
        env={**stack.environment, "API_PORT": port, "API_INTERNAL_PORT": internal},
        ready_url=f"http://127.0.0.1:{internal}/readyz",
    )
    return f"http://127.0.0.1:{port}"


async def measure(options: Options) -> Result:
    profiles: dict[str, list[tuple[LockProfile, float]]] = {_name(layout): [] for layout in LAYOUTS}
    async with bench_stack(options.stop, temporal=options.temporal) as on:

        async def run(layout: tuple[int, int]) -> Reading:
            reading, profile, seconds = await _run(options, on, *layout)
            profiles[_name(layout)].append((profile, seconds))
            return reading

        contenders = {_name(layout): partial(run, layout) for layout in LAYOUTS}
        comparison = await in_turn(contenders, options.turns.at_most(ROUNDS), steady=(COST,))
    return _result(options, comparison, profiles)


def _name(layout: tuple[int, int]) -> str:
    workers, apis = layout
    return f"{workers} worker{'s' * (workers > 1)}, {apis} API{'s' * (apis > 1)}"


async def _run(
    options: Options, on: BenchStack, workers: int, apis: int
) -> tuple[Reading, LockProfile, float]:
    log(f"{_name((workers, apis))}: {options.generations} generations, {options.at_once} at once …")
    async with in_thread(_extra(on.stack, workers - 1, apis - 1)) as extra:
        address = replace(on.address, api_urls=on.address.api_urls + extra.api_urls)
        async with darkroom_target(address) as target:
            await warm_up(target, options.generations)
            async with lock_profile(on.database_url) as profile:
                pids = {**on.pids, **extra.pids}
                loaded = await run_loaded(target, options.generations, options.at_once, pids)
    return loaded.reading, profile, loaded.run.seconds


def _result(
    options: Options, comparison: Comparison, profiles: dict[str, list[tuple[LockProfile, float]]]
) -> Result:
    names = [_name(layout) for layout in LAYOUTS]
    rows = [
        (
            name,
            cell(comparison.range(name, PER_SECOND)),
            cell(comparison.range(name, COST)),
            str(comparison.ratio(name, _name(ONE), COST)),
        )
        for name in names
    ]
    locks = [row for name in names for row in _lock_rows(name, profiles[name], options.generations)]
    lock_headings = ("", "waits for", "seen, per 1,000", "ms waited, each", "at one row at most")
    goals = [
        Goal.of(f"cost with {name}, times that with one each", ratio, at_most=MAX_COST_RATIO)
        for name in names[1:]
        for ratio in (comparison.ratio(name, _name(ONE), COST),)
    ]
    goals.append(
        Goal(
            "the most that is waited for rows of one table, ms each",
            _most_waited(locks),
            at_most=MAX_WAITED_MS,
        )
    )
    return Result(
        [
            Table("Processes", ("", "per second", "ms each", "ratio"), rows),
            Table("Lock waits in PostgreSQL", lock_headings, locks),
        ],
        goals,
        numbers={"processes_runs": comparison.as_json(), "locks": [list(row) for row in locks]},
    )


def _lock_rows(
    name: str, profiles: list[tuple[LockProfile, float]], generations: int
) -> list[tuple[str, str, str, str, str]]:
    """Return a line for each kind of lock that was waited for, over all runs."""
    count = generations * len(profiles)
    kinds = sorted({what for profile, _ in profiles for what in profile.seen})
    rows = []
    for what in kinds:
        waits = sum(len(profile.waits.get(what, ())) for profile, _ in profiles)
        waited_ms = sum(profile.waited_ms(what, seconds) for profile, seconds in profiles)
        most = max(profile.most_at_a_row[what] for profile, _ in profiles)
        rows.append((name, what, f"{1000 * waits / count:.0f}", f"{waited_ms / count:.2f}", str(most or "")))
    return rows or [(name, "nothing", "0", "0.00", "")]


def _most_waited(rows: list[tuple[str, str, str, str, str]]) -> float:
    return max(float(row[3]) for row in rows)
