"""PostgreSQL as a child process: its own data folder, TCP on the loopback interface, SCRAM passwords."""

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import NotReady
from devstack.install import postgres_binaries
from devstack.process import commands
from devstack.process.data_directory import DataDir
from devstack.process.log import Log
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Command, Supervisor
from devstack.process.unix_user import UnixUser, unprivileged_user

NAME = "postgres"
USER = DATABASE = "darkroom"
CONNECTIONS_MAX = 200
INITDB_TIMEOUT_SECONDS = 60.0
# A server that was killed replays its log first.
READY_TIMEOUT_SECONDS = 60.0
QUERY_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Postgres:
    """A running server. `url`: with the password, of the superuser if we started it."""

    url: str


def start(
    supervisor: Supervisor,
    data: DataDir,
    *,
    log: Log,
    is_durable: bool = True,
    binaries: Path | None = None,
) -> Postgres:
    """Start it and wait until it answers a query. Without `is_durable`, there is no fsync.

    binaries: the folder of another PostgreSQL's programs; default: the wheel's.
    """
    account = unprivileged_user()
    binaries = binaries or postgres_binaries.find(account, stop=supervisor.stop_flag, log=log)
    folder = data.folder(f"postgres-{postgres_binaries.MAJOR}", account)
    password, port = data.secret("postgres_password"), data.port(NAME)
    if not folder.exists():
        _initialise(binaries, folder, password, account, supervisor.stop_flag)
    supervisor.start(_command(binaries, folder, port, account, is_durable=is_durable))
    url = f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"
    supervisor.wait_ready(
        NAME,
        lambda: _has_database(binaries, port, password, supervisor.stop_flag),
        timeout_seconds=READY_TIMEOUT_SECONDS,
    )
    return Postgres(url)


def _command(
    binaries: Path, folder: Path, port: int, account: UnixUser | None, *, is_durable: bool
) -> Command:
    options = {
        "max_connections": str(CONNECTIONS_MAX),
        "unix_socket_directories": "",
        "log_min_messages": "warning",
        "fsync": "on" if is_durable else "off",
        "full_page_writes": "on" if is_durable else "off",
    }
    flags = tuple(part for name, value in options.items() for part in ("-c", f"{name}={value}"))
    return Command(
        name=NAME,
        argv=(str(binaries / "postgres"), "-D", str(folder), "-h", "127.0.0.1", "-p", str(port), *flags),
        env=_environment(),
        cwd=folder,
        account=account,
        # SIGTERM would wait for every client to leave; SIGINT ends their transactions and then the server.
        stop_signal=signal.SIGINT,
    )


def _initialise(
    binaries: Path, folder: Path, password: str, account: UnixUser | None, stop: StopFlag
) -> None:
    """Create the data folder under another name, then rename it, so that a kill leaves none half done."""
    staging = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w", dir=folder.parent) as password_file:
        password_file.write(password)
        password_file.flush()
        if account:
            for path in (staging, password_file.name):
                os.chown(path, account.uid, account.gid)
        made = commands.run(
            [
                str(binaries / "initdb"),
                *("-D", str(staging), "-U", USER, "-A", "scram-sha-256", f"--pwfile={password_file.name}"),
                *("--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"),
            ],
            env=_environment(),
            timeout_seconds=INITDB_TIMEOUT_SECONDS,
            stop=stop,
            cwd=staging,
            account=account,
        )
    if made.returncode != 0:
        raise NotReady(f"initdb failed: {made.stderr.strip()}")
    staging.rename(folder)


def _has_database(binaries: Path, port: int, password: str, stop: StopFlag) -> bool:
    """Return whether the server answers and has our database; create it at the first answer."""
    query = f"select count(*) from pg_database where datname = '{DATABASE}'"  # noqa: S608 - a constant
    answer = _psql(binaries, port, password, query, stop)
    if answer == "0":
        _psql(binaries, port, password, f"create database {DATABASE}", stop)
        return False
    return answer == "1"


def _psql(binaries: Path, port: int, password: str, statement: str, stop: StopFlag) -> str | None:
    """Return the output, or None if the server did not answer."""
    address = ("-h", "127.0.0.1", "-p", str(port), "-U", USER, "-d", "postgres")
    try:
        done = commands.run(
            [str(binaries / "psql"), *address, "-X", "-A", "-t", "-q", "-c", statement],
            env=_environment() | {"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "5"},
            timeout_seconds=QUERY_TIMEOUT_SECONDS,
            stop=stop,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _environment() -> dict[str, str]:
    """Return our environment without PG*: the user's own PGPORT or PGDATA must not affect this server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
