"""A tenant's accounts: how many holds a second, with 40 at once from one, two and four processes."""

from functools import partial

import asyncpg

from benchmarks.contention.databases import in_processes, migrated_database
from benchmarks.errors import RunFailed
from benchmarks.options import Options
from benchmarks.percentiles import percentile
from benchmarks.report import Goal, Result, Table, cell
from benchmarks.rounds import Comparison, Reading, in_turn
from composition.repositories import Database, credit_accounts, tenants
from devstack.process.log import log

PROCESSES = (1, 2, 4)
MIN_RESERVES_PER_SECOND = 500.0
AT_ONCE = 40
SECONDS = 5.0
# More than can be held in that time.
_GENERATIONS = 20_000
_TENANT = "ten_one"
_PER_SECOND, _MS = "reserves per second", "p50, ms"
_TIMEOUT_SECONDS = 120.0
_CREATE = f"""
INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata,
    n, price_credits, status, stage)
SELECT 'gen_' || n, '{_TENANT}', 'f', 'm', 'fal', 'e', 'p', '{{}}', '{{}}', 1, 1, 'created', 'created'
FROM generate_series($1::bigint, $2::bigint) AS n
"""  # noqa: S608 - a constant
_HELD = "SELECT balance_credits FROM accounts WHERE tenant_id = $1 AND kind = 'held'"


async def measure(options: Options) -> Result:
    seconds = max(1.0, SECONDS * options.scale)
    async with migrated_database(options.stop) as url:
        await _open_account(url)
        contenders = {
            _name(processes): partial(_reserves, url, processes, seconds) for processes in PROCESSES
        }
        comparison = await in_turn(contenders, options.turns, steady=(_PER_SECOND,))
    return _result(comparison)


def _name(processes: int) -> str:
    return f"{processes} process{'es' * (processes > 1)}"


async def _open_account(url: str) -> None:
    database = Database(url, pool_size=2)
    try:
        await tenants(database).create(_TENANT, _TENANT)
        await credit_accounts(database).grant(_TENANT, 10**9, "benchmark")
    finally:
        await database.close()


async def _reserves(url: str, processes: int, for_seconds: float) -> Reading:
    log(f"reserves: {_name(processes)} …")
    connection = await asyncpg.connect(url, timeout=_TIMEOUT_SECONDS, command_timeout=_TIMEOUT_SECONDS)
    try:
        first = 1 + int(await connection.fetchval("SELECT count(*) FROM generations"))
        await connection.execute(_CREATE, first, first + _GENERATIONS - 1)
        await connection.execute("ANALYZE generations")
        held = await connection.fetchval(_HELD, _TENANT)
        jobs = [
            {
                "kind": "reserves",
                "url": url,
                "tenant": _TENANT,
                "lanes": AT_ONCE // processes,
                "ids": [f"gen_{n}" for n in range(first + each, first + _GENERATIONS, processes)],
            }
            for each in range(processes)
        ]
        seconds = [each for done in await in_processes(jobs, for_seconds) for each in done["seconds"]]
        if await connection.fetchval(_HELD, _TENANT) - held != len(seconds):
            raise RunFailed("what is held is not what was reserved")
        return {_PER_SECOND: len(seconds) / for_seconds, _MS: 1000 * percentile(seconds, 50)}
    finally:
        await connection.close(timeout=_TIMEOUT_SECONDS)


def _result(comparison: Comparison) -> Result:
    names = [_name(processes) for processes in PROCESSES]
    rows = [(name, *(cell(comparison.range(name, row), 0) for row in (_PER_SECOND, _MS))) for name in names]
    goals = [
        Goal(
            "reserves per second of one tenant, the least of all",
            min(comparison.range(name, _PER_SECOND).median for name in names),
            at_least=MIN_RESERVES_PER_SECOND,
        )
    ]
    title = f"Reserves of one tenant, {AT_ONCE} at once"
    return Result(
        [Table(title, ("", _PER_SECOND, _MS), rows)], goals, numbers={"reserves_runs": comparison.as_json()}
    )
