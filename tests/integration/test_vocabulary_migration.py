"""Migration 0003, up and down, with rows of every kind in the tables."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest
from alembic import command

from adapters.database import schema
from adapters.database.engine import Database
from admin.bootstrap import alembic_config, migrate
from devstack.servers.running import Servers
from domain.attempt import AttemptState
from tests.integration.conftest import new_database

SUCCESS = {"verdict": "succeeded", "code": None, "files": ["https://a"], "images": [], "undelivered": []}
FAILURE = {"verdict": "failed", "code": "provider_failed", "files": [], "images": [], "undelivered": []}
# Version 0002: stage of the generation, state, job id, result, is_free; and the state it becomes.
ATTEMPTS: dict[str, tuple[str, str, str | None, dict[str, Any] | None, bool | None, AttemptState]] = {
    "sending": ("submitting", "sending", None, None, None, AttemptState.SENDING),
    "unknown": ("submit_unknown", "sending", None, None, None, AttemptState.UNKNOWN),
    "not_sent": ("throttled", "not_sent", None, None, None, AttemptState.NOT_SENT),
    "rejected": ("throttled", "rejected", None, None, True, AttemptState.REJECTED),
    "accepted": ("generating", "accepted", "job", None, None, AttemptState.ACCEPTED),
    "succeeded": ("storing", "accepted", "job", SUCCESS, False, AttemptState.SUCCEEDED),
    "failed": ("generating", "accepted", "job", FAILURE, False, AttemptState.FAILED),
    "uncharged": ("generating", "accepted", "job", FAILURE, True, AttemptState.FAILED_UNCHARGED),
    "webhook_first": ("submitting", "sending", None, SUCCESS, False, AttemptState.SUCCEEDED),
    "contradicted": ("throttled", "rejected", None, SUCCESS, False, AttemptState.SUCCEEDED),
}
STATUS = {"submitting": "processing", "submit_unknown": "processing", "throttled": "queued"}


def alembic(action: str, url: str, revision: str) -> None:
    getattr(command, action)(alembic_config(url), revision)


@pytest.fixture
async def url(servers: Servers) -> str:
    """Return a database at revision 0002 with each kind of attempt, a slot, a pause, a file and a webhook."""
    url = await new_database(servers.postgres.url)
    await asyncio.to_thread(alembic, "upgrade", url, "0002")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("INSERT INTO tenants (id, name) VALUES ('ten', 'ten')")
        for name, (stage, state, job_id, result, is_free, _) in ATTEMPTS.items():
            await connection.execute(
                "INSERT INTO generations (id, tenant_id, fingerprint, model, provider, endpoint, prompt,"
                " parameters, metadata, n, price_credits, status, stage)"
                " VALUES ($1, 'ten', '', 'm', 'fal', 'e', 'p', '{}', '{}', 1, 1, $2, $3)",
                *(name, STATUS.get(stage, "processing"), stage),
            )
            await connection.execute(
                "INSERT INTO attempts (generation_id, ordinal, provider, endpoint, state, provider_job_id,"
                " result, is_free) VALUES ($1, 1, 'fal', 'e', $2, $3, $4, $5)",
                *(name, state, job_id, json.dumps(result), is_free),
            )
        await connection.execute("INSERT INTO gates VALUES ('fal', now())")
        await connection.execute(
            "INSERT INTO places (generation_id, ordinal, provider, tenant_id, granted_at, told_at)"
            " VALUES ('sending', 1, 'fal', 'ten', now(), now())"
        )
        await connection.execute(
            "INSERT INTO files (id, tenant_id, key, width, height, content_type, size_bytes, sha256,"
            " expires_at) VALUES ('file', 'ten', 'k', 1, 1, 'image/png', 1, $1, now())",
            "ab" * 32,
        )
        await connection.execute(
            "INSERT INTO inbox (provider, event_id, generation_id, ordinal, provider_job_id, verdict, result,"
            " is_free) VALUES ('fal', 'event', 'accepted', 1, 'job', 'failed', $1, true)",
            json.dumps(FAILURE),
        )
    finally:
        await connection.close()
    return url


async def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


OLD = "SELECT generation_id, state, provider_job_id, result ->> 'verdict', is_free FROM attempts ORDER BY 1"


async def test_every_row_is_there_under_its_new_name(url: str) -> None:
    await asyncio.to_thread(migrate, url)

    found = await rows(url, "SELECT generation_id, state, result ->> 'status' FROM attempts")
    assert {name: state for name, state, _ in found} == {name: row[-1] for name, row in ATTEMPTS.items()}
    assert all((status is not None) == AttemptState(state).is_final for _, state, status in found)
    slots = "SELECT generation_id, granted_at IS NOT NULL, notified_at IS NOT NULL FROM provider_slots"
    assert await rows(url, slots) == [("sending", True, True)]
    assert await rows(url, "SELECT provider, paused_until <= now() FROM provider_pauses") == [("fal", True)]
    assert await rows(url, "SELECT id FROM input_files") == [("file",)]
    inbox = "SELECT status, does_not_charge, result ->> 'status' FROM inbox"
    assert await rows(url, inbox) == [("failed", True, "failed")]


async def test_a_downgrade_brings_the_old_tables_back(url: str) -> None:
    before = await rows(url, OLD)
    await asyncio.to_thread(migrate, url)
    await asyncio.to_thread(alembic, "downgrade", url, "0002")

    # Two kinds were contradictions of version 0002; what the webhook proved is what they go back to.
    contradictions = {"webhook_first", "contradicted"}
    after = await rows(url, OLD)
    assert [row for row in after if row[0] not in contradictions] == [
        row for row in before if row[0] not in contradictions
    ]
    assert {row[:4] for row in after if row[0] in contradictions} == {
        (name, "sending", None, "succeeded") for name in contradictions
    }
    assert await rows(url, "SELECT told_at IS NOT NULL FROM places") == [(True,)]
    assert await rows(url, "SELECT verdict, is_free, result ->> 'verdict' FROM inbox") == [
        ("failed", True, "failed")
    ]
    await asyncio.to_thread(migrate, url)


@pytest.mark.parametrize("action", ["upgrade", "downgrade"])
async def test_it_refuses_to_run_while_a_process_is_connected(url: str, action: str) -> None:
    if action == "downgrade":
        await asyncio.to_thread(migrate, url)
    running = Database(url, pool_size=1)
    try:
        await running.healthy()
        with pytest.raises(RuntimeError, match="0003 needs a stop"):
            await asyncio.to_thread(alembic, action, url, "head" if action == "upgrade" else "0002")
    finally:
        await running.close()


async def test_a_process_does_not_start_on_older_tables(url: str) -> None:
    database = Database(url, pool_size=1)
    try:
        with pytest.raises(
            schema.SchemaOutdated, match=f"at revision 0002, this version needs {schema.REVISION}"
        ):
            await schema.require_revision(database)
        await database.close()
        await asyncio.to_thread(migrate, url)
        await schema.require_revision(database)
    finally:
        await database.close()


async def test_the_revision_that_is_needed_is_the_newest(database_url: str) -> None:
    assert await rows(database_url, "SELECT version_num FROM alembic_version") == [(schema.REVISION,)]
