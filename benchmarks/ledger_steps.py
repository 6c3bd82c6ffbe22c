"""`python -m benchmarks.ledger_steps COMMIT`: what a hold and a charge cost here, and at another commit.

Both are databases of one server, each migrated by its own checkout. The statements are those of the worker's
steps, sent one after the other, in turn: so many holds here, so many there, and then the charges.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import asyncpg

from benchmarks import report
from benchmarks.against import checkout
from benchmarks.blocking import in_thread, run_until_stopped, stop_flag_for
from benchmarks.contention.databases import database_server
from benchmarks.errors import RunFailed
from benchmarks.percentiles import percentile
from benchmarks.report import Result, compared
from benchmarks.rounds import Reading, Turns, in_turn
from devstack.errors import Interrupted, StackError
from devstack.process.log import log
from devstack.process.stop_flag import StopFlag
from devstack.servers.app_processes import ROOT
from runtime.process import run

# Before credits were in lots.
REFERENCE = "7ac68cc"
_TENANT = "ten_one"
_RESERVE, _COMPLETE = "reserve, ms", "settle, ms"
_MIGRATE_SECONDS = 60.0
_TIMEOUT_SECONDS = 60.0
_MIGRATE = "import os, admin.bootstrap as b; b.migrate(os.environ['DATABASE_URL'])"
_TENANT_ROWS = (
    "INSERT INTO tenants (id, name) VALUES ($1, $1)",
    "INSERT INTO api_keys (id, tenant_id, secret_sha256, scopes) VALUES ('key', $1, '', '{}')",
    "INSERT INTO accounts (id, tenant_id, kind) SELECT $1 || ':' || kind, $1, kind"
    " FROM unnest(ARRAY['available', 'held', 'issued', 'spent']) AS kind",
)
# The same call at every commit; here each makes a lot.
_GRANT = (
    "SELECT move_credits('grant:' || $1 || ':' || $2, $1, 'grant', NULL, $3, ARRAY['available', 'issued'],"
    " ARRAY[$3::bigint, -$3::bigint])"
)
_CREATE = f"""
INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt, parameters, metadata,
    n, price_credits, status, stage, api_key_id)
SELECT id, '{_TENANT}', 'f', 'm', 'fal', 'e', 'p', '{{}}', '{{}}', 1, 2, 'created', 'created', 'key'
FROM unnest($1::text[]) AS id
"""  # noqa: S608 - a constant
_HOLD = "SELECT * FROM reserve_credits_of_all(ARRAY[$1])"
_FINISH = "SELECT * FROM finish_storing_of_all($1::jsonb)"


async def compare(commit: str, turns: Turns, generations: int, lots: int, stop: StopFlag) -> Result:
    async with (
        in_thread(checkout(commit)) as other_root,
        in_thread(database_server(stop)) as url,
    ):
        urls = {commit: await _database(url, "other", other_root), "here": await _database(url, "here", ROOT)}
        connections = {name: await asyncpg.connect(found) for name, found in urls.items()}
        try:
            for connection in connections.values():
                await _open_account(connection, lots)
            contenders = {
                name: partial(_steps, name, connection, generations)
                for name, connection in connections.items()
            }
            for warm_up in contenders.values():
                await warm_up()
            comparison = await in_turn(contenders, turns, steady=(_RESERVE, _COMPLETE))
        finally:
            for connection in connections.values():
                await connection.close()
    return Result(
        [compared(f"Steps of the ledger, with {lots} lots here", comparison, "here", commit)],
        [],
        ["Medians of the client's time, one step at a time."],
        comparison.as_json(),
    )


async def _database(server: str, name: str, root: Path) -> str:
    connection = await asyncpg.connect(server)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    url = f"{server.rpartition('/')[0]}/{name}"
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _MIGRATE],
        cwd=root,
        env=dict(os.environ) | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=_MIGRATE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RunFailed(f"the migration of {name} failed: {done.stderr.strip()[-500:]}")
    return url


async def _open_account(connection: asyncpg.Connection, lots: int) -> None:
    for statement in _TENANT_ROWS:
        await connection.execute(statement, _TENANT)
    for number in range(lots):
        await connection.execute(_GRANT, _TENANT, str(number), 10**9)


async def _steps(name: str, connection: asyncpg.Connection, generations: int) -> Reading:
    log(f"{name}: {generations} generations …")
    first = 1 + int(await connection.fetchval("SELECT count(*) FROM generations"))
    ids = [f"gen_{number}" for number in range(first, first + generations)]
    await connection.execute(_CREATE, ids)
    return {
        _RESERVE: await _median_ms(connection, _HOLD, ids),
        _COMPLETE: await _median_ms(connection, _FINISH, [_finished(each) for each in ids]),
    }


async def _median_ms(connection: asyncpg.Connection, statement: str, values: Sequence[str]) -> float:
    seconds = []
    for value in values:
        begun = time.perf_counter()
        rows = await connection.fetch(statement, value, timeout=_TIMEOUT_SECONDS)
        seconds.append(time.perf_counter() - begun)
        if not rows or rows[0].get("status") not in (None, "completed"):
            raise RunFailed("a step did not do what it should")
    return 1000 * percentile(seconds, 50)


def _finished(generation_id: str) -> str:
    image = {
        "index": 0,
        "key": f"{_TENANT}/{generation_id}/0.png",
        "width": 1,
        "height": 1,
        "content_type": "image/png",
        "size_bytes": 1,
        "sha256": "0" * 64,
        "source_sha256": "0" * 64,
    }
    return json.dumps([{"generation": generation_id, "images": [image], "undelivered": []}])


async def bench(asked: argparse.Namespace, stop: asyncio.Event) -> int:
    turns = Turns(asked.rounds, asked.spare)
    try:
        async with stop_flag_for(stop) as flag:
            comparing = compare(asked.commit, turns, asked.generations, asked.lots, flag)
            report.show(await run_until_stopped(stop, comparing))
    except Interrupted:
        log("stopped")
        return 130
    except (StackError, RunFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_steps", description=__doc__)
    parser.add_argument("commit", nargs="?", default=REFERENCE)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--spare", type=int, default=Turns.spare, help="more rounds while the runs differ")
    parser.add_argument("--generations", type=int, default=500, help="in each run")
    parser.add_argument("--lots", type=int, default=1, help="of the tenant, here")
    given = parser.parse_args()
    run(lambda stop: bench(given, stop))
