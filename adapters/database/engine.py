"""Connections to PostgreSQL, and the mapping of its failures to our errors."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from domain.errors import DatabaseUnavailable

_CONNECT_SECONDS = 3
_STATEMENT_SECONDS = 10


class Database:
    """A bounded pool. Each `begin` is one session on one connection, in one transaction.

    name: what PostgreSQL lists the connections as; migrations look for it.
    """

    def __init__(self, url: str, *, pool_size: int, name: str = "darkroom") -> None:
        self._engine: AsyncEngine = create_async_engine(
            async_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_CONNECT_SECONDS,
            pool_pre_ping=False,
            hide_parameters=True,  # statements carry prompts and result URLs
            connect_args={
                "timeout": _CONNECT_SECONDS,
                "command_timeout": _STATEMENT_SECONDS,
                "server_settings": {
                    "application_name": name,
                    "lock_timeout": "5s",
                    "idle_in_transaction_session_timeout": "15s",
                    "jit": "off",
                },
            },
        )

        # Saves the round trips of BEGIN and COMMIT.
        self._unbound = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction. Raises DatabaseUnavailable if the server is away, busy or goes away."""
        return _session(self._engine)

    def each(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a session in which each statement is its own transaction. Raises as `begin` does."""
        return _session(self._unbound)

    async def healthy(self) -> bool:
        """Raises DatabaseUnavailable."""
        async with self.each() as session:
            return await session.scalar(select(1)) == 1

    async def close(self) -> None:
        await self._engine.dispose()


@asynccontextmanager
async def _session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    try:
        async with AsyncSession(engine, expire_on_commit=False, autoflush=False) as session, session.begin():
            yield session
    except (OperationalError, InterfaceError, PoolTimeout, OSError, TimeoutError) as error:
        raise DatabaseUnavailable(type(error).__name__) from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_passing(error):
            raise DatabaseUnavailable(type(error.orig).__name__) from error
        raise


def async_url(url: str) -> str:
    """Return the URL for SQLAlchemy's asyncpg dialect."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgres", "postgresql"):
        raise ValueError("DATABASE_URL must begin with postgresql://")
    return f"postgresql+asyncpg://{rest}"


def _is_passing(error: DBAPIError) -> bool:
    """Return whether PostgreSQL may answer differently in a moment: restarts, deadlocks, lock timeouts."""
    cause = error.orig.__cause__ if error.orig is not None else None
    return isinstance(
        cause,
        asyncpg.exceptions.OperatorInterventionError
        | asyncpg.exceptions.PostgresConnectionError
        | asyncpg.exceptions.InsufficientResourcesError
        | asyncpg.exceptions.TransactionRollbackError
        | asyncpg.exceptions.LockNotAvailableError
        | asyncpg.exceptions.InternalClientError
        | OSError,
    )
