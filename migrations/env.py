"""Runs migrations on one connection, one migrator at a time."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.pool import NullPool

from composition.repositories import ONE_MIGRATOR, async_engine


def _run(connection: Connection) -> None:
    context.configure(connection=connection)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_MIGRATOR})
        context.run_migrations()


async def _connect() -> None:
    url = context.config.attributes.get("database_url") or (
        os.environ.get("MIGRATION_DATABASE_URL") or os.environ["DATABASE_URL"]
    )
    engine = async_engine(url, pooler=True, poolclass=NullPool)  # with or without one
    async with engine.connect() as connection:
        await connection.run_sync(_run)
        await connection.commit()
    await engine.dispose()


asyncio.run(_connect())
