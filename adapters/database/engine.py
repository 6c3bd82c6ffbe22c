"""Connections to PostgreSQL, and the mapping of its failures to our errors."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import Executable, Row, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from adapters.database.dsn import async_engine
from domain.errors import DatabaseUnavailable

_CONNECT_SECONDS = 3
_STATEMENT_SECONDS = 10
_SESSION_SETTINGS = {"lock_timeout": "5s", "idle_in_transaction_session_timeout": "15s", "jit": "off"}
_READ_ONLY = "25006"
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connections, rollbacks for concurrency,
# resources, operators, the system around it, and bugs of PostgreSQL itself.
_PASSING_CLASSES = ("08", "40", "53", "57", "58", "XX")
# Of a connection that broke, or that PostgreSQL ended: perhaps after the commit.
_CUT_OFF = ("08", "57P0")
# A cached plan that a migration made invalid; a server that only reads, or dropped an idle transaction; a
# prepared statement that is gone; a password that is being changed; a lock that was not free.
_PASSING_STATES = ("0A000", _READ_ONLY, "25P03", "26000", "28P01", "55P03")


class Database:
    """A bounded pool. Each `begin` is one session on one connection, in one transaction.

    name: what PostgreSQL lists the connections as; migrations look for it. pooler: whether the URL leads to a
    pooler of transactions, such as PgBouncer: no settings of a session, no prepared statement that outlives a
    transaction. Raises ValueError for a URL that cannot be used.
    """

    def __init__(self, url: str, *, pool_size: int, name: str = "darkroom", pooler: bool = False) -> None:
        server_settings = {"application_name": name} | ({} if pooler else _SESSION_SETTINGS)
        connect_args: dict[str, Any] = {
            "timeout": _CONNECT_SECONDS,
            "command_timeout": _STATEMENT_SECONDS,
            "server_settings": server_settings,
        }
        self._engine: AsyncEngine = async_engine(
            url,
            pooler=pooler,
            connect_args=connect_args,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_CONNECT_SECONDS,
            pool_pre_ping=False,
            hide_parameters=True,  # statements carry prompts and result URLs
            # Saves the round trips of BEGIN and COMMIT. But a pooler gives a statement and its preparation to
            # the same server only inside a transaction.
            **({} if pooler else {"isolation_level": "AUTOCOMMIT"}),
        )
        event.listen(self._engine.sync_engine, "handle_error", _drop_read_only_connections)
        self._transactional = (
            self._engine if pooler else self._engine.execution_options(isolation_level="READ COMMITTED")
        )
        self._connect = self._engine.begin if pooler else self._engine.connect

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction. Raises DatabaseUnavailable if the server is away, busy or goes away."""
        return _session(self._transactional)

    def each(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session in which each statement is its own transaction. Raises as `begin` does."""
        return _session(self._engine)

    async def call(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """Run one statement as a transaction of its own, in one round trip; return its rows.

        Raises as `begin` does.
        """
        progress = _Progress()
        with _mapped_errors(progress):
            async with self._connect() as connection:
                progress.is_committing = True
                result = await connection.execute(statement, values)
                return result.all() if result.returns_rows else ()

    async def healthy(self) -> bool:
        """Return whether it can be written to. Raises DatabaseUnavailable."""
        async with self.each() as session:
            return bool(await session.scalar(text("SHOW transaction_read_only")) == "off")

    async def close(self) -> None:
        await self._engine.dispose()


@asynccontextmanager
async def _session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    progress = _Progress()
    with _mapped_errors(progress):
        async with AsyncSession(engine, expire_on_commit=False, autoflush=False) as session, session.begin():
            yield session
            progress.is_committing = True


@dataclass
class _Progress:
    """is_committing: Whether what fails from now on may be committed all the same."""

    is_committing: bool = False


@contextmanager
def _mapped_errors(progress: _Progress) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError, TimeoutError) as error:
        raise _unavailable(error, progress) from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_passing(error):
            raise _unavailable(error, progress) from error
        raise


def _unavailable(error: Exception, progress: _Progress) -> DatabaseUnavailable:
    name = type(error.orig if isinstance(error, DBAPIError) else error).__name__
    unavailable = DatabaseUnavailable(name)
    unavailable.may_be_committed = progress.is_committing and not _is_refused(error)
    return unavailable


def _is_refused(error: Exception) -> bool:
    """Return whether PostgreSQL provably did nothing: it said so, or was not asked."""
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else None
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate is None:  # asyncpg itself: the connection had been closed before
        return isinstance(cause, asyncpg.exceptions.InterfaceError)
    return not str(sqlstate).startswith(_CUT_OFF)


def _is_passing(error: DBAPIError) -> bool:
    """Return whether PostgreSQL may answer differently in a moment, by its SQLSTATE or that there is none."""
    cause = error.orig.__cause__ if error.orig is not None else None
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate is None:
        return isinstance(cause, asyncpg.exceptions.InternalClientError | OSError)
    return sqlstate in _PASSING_STATES or sqlstate[:2] in _PASSING_CLASSES


def _drop_read_only_connections(context: ExceptionContext) -> None:
    """Treat a server that only reads, such as one that was demoted, as one that is gone."""
    if getattr(context.original_exception.__cause__, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True
