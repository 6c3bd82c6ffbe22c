"""The database behind a real PgBouncer that pools transactions."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

import asyncpg
import pytest

from adapters.database.engine import Database
from adapters.database.ledger import PostgresLedger
from admin.bootstrap import migrate
from devstack.process.ports import pick_free
from devstack.process.unix_user import unprivileged_user
from devstack.servers.running import Servers
from domain.credits import HoldState
from tests.integration.conftest import new_database
from tests.support.books import PostgresBooks
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

BINARY = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
pytestmark = pytest.mark.skipif(BINARY is None, reason="no pgbouncer here: apt install pgbouncer")
_CONFIG = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = plain
auth_file = {users}
pool_mode = transaction
default_pool_size = 3
"""


@pytest.fixture
async def url(servers: Servers) -> AsyncIterator[str]:
    """Return the URL of a new database through a PgBouncer with few connections."""
    folder = Path(mkdtemp(prefix="pgbouncer-"))
    direct = urlsplit(await new_database(servers.postgres.url))
    own_port = pick_free()
    users, config = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{direct.username}" "{direct.password}"\n')
    config.write_text(_CONFIG.format(host=direct.hostname, port=direct.port, own_port=own_port, users=users))
    for path, mode in ((folder, 0o755), (users, 0o644), (config, 0o644)):
        path.chmod(mode)
    user = unprivileged_user()
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - it returns at once; the arguments are ours
        [str(BINARY), "-q", str(config)],
        user=user.name if user is not None else None,
        stderr=subprocess.DEVNULL,
    )
    through = direct._replace(netloc=f"{direct.username}:{direct.password}@127.0.0.1:{own_port}").geturl()

    async def listens() -> bool:
        try:
            await (await asyncpg.connect(through, statement_cache_size=0)).close()
        except OSError:
            return False
        return True

    try:
        await eventually(listens, timeout_seconds=10)
        yield through
    finally:
        process.terminate()
        process.wait(scaled(10))
        shutil.rmtree(folder)


async def test_migrations_and_transactions_work_with_more_clients_than_servers(url: str) -> None:
    await asyncio.to_thread(migrate, url)
    database = Database(url, pool_size=10, pooler=True)
    books = PostgresBooks(database)
    try:
        tenant_id = await books.tenant(1000)
        ids = [await books.add(tenant_id) for _ in range(40)]
        held = await asyncio.gather(*(PostgresLedger(database).reserve(each) for each in ids))
        assert {reservation.state for reservation in held} == {HoldState.HELD}
        assert (await books.balance(tenant_id)).held == 40 * 4
        assert await database.healthy()
    finally:
        await database.close()
