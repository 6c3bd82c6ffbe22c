"""What each role of PostgreSQL may do with each table.

Three roles: one owns the tables and migrates them, `SERVING_ROLE` is for API, worker and admin commands, and
`AUDITING_ROLE` reads. The second owns nothing, so it can change no table, no trigger and no right; what it
may do with rows is in `SERVING_RIGHTS`. A new table needs a line there, and a column with a secret one in
`SECRET_COLUMNS`.
"""

from collections.abc import Iterator, Mapping

from sqlalchemy import MetaData, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from adapters.database.dsn import async_engine
from adapters.database.schema import ONE_MIGRATOR

# Of the whole PostgreSQL server. A login of another name takes the rights by `GRANT darkroom_serving TO it`.
SERVING_ROLE = "darkroom_serving"
AUDITING_ROLE = "darkroom_auditing"
ROLES = (SERVING_ROLE, AUDITING_ROLE)

_APPEND = ("SELECT", "INSERT")
_CHANGE = (*_APPEND, "UPDATE")
_ALL = (*_CHANGE, "DELETE")

# By table. A right goes one version after the last code that used it: old processes run beside a new version.
SERVING_RIGHTS: Mapping[str, tuple[str, ...]] = {
    "accounts": _CHANGE,
    "api_keys": _CHANGE,
    "attempts": _CHANGE,
    "audit_events": _APPEND,
    "batch_items": _ALL,
    "batches": _CHANGE,
    "book_checks": (*_APPEND, "DELETE"),
    "book_marks": _CHANGE,
    "credit_thresholds": _ALL,
    "deliveries": _ALL,
    "delivery_attempts": _ALL,
    "entries": _APPEND,
    "event_cursors": ("SELECT", "UPDATE"),
    "events": (*_APPEND, "DELETE"),
    "generation_terms": _ALL,
    "generations": _CHANGE,
    "image_requests": _ALL,
    "images": _APPEND,
    "inbox": _CHANGE,
    "input_files": _ALL,
    "key_spending": _CHANGE,
    "lot_entries": _APPEND,
    "lots": _CHANGE,
    "operator_keys": _CHANGE,
    "partial_images": (*_APPEND, "DELETE"),
    "payments": _CHANGE,
    "provider_capacity": _CHANGE,
    "provider_closures": _ALL,
    "provider_pauses": _CHANGE,
    "provider_slots": _ALL,
    "take_backs": _CHANGE,
    "tenants": _CHANGE,
    "transfers": _APPEND,
    "uncharged_costs": _CHANGE,
    "unstored_images": (*_APPEND, "DELETE"),
    "usage_days": _CHANGE,
    "usage_outbox": _ALL,
    "usage_senders": ("SELECT", "UPDATE"),
    "webhook_endpoints": _ALL,
}

# What auditors may not read.
SECRET_COLUMNS: Mapping[str, frozenset[str]] = {
    "api_keys": frozenset({"secret_sha256"}),
    "operator_keys": frozenset({"secret_sha256"}),
    "webhook_endpoints": frozenset({"secret", "previous_secret"}),
}

# Alembic's own, which every process reads when it starts.
_REVISION_TABLE = "alembic_version"
_EXISTING = text("SELECT rolname FROM pg_roles WHERE rolname = ANY (CAST(:names AS text[]))")
_quoted = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]


async def grant_rights(url: str) -> list[str]:
    """Bring the rights of the roles that exist to those declared here; return the names of the others.

    url: the owner's. What a role had beyond them is revoked in the same transaction. May be repeated, also at
    the same time.
    """
    engine = async_engine(url, pooler=True, poolclass=NullPool)  # with or without one
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_MIGRATOR})
            existing = set(await connection.scalars(_EXISTING, {"names": list(ROLES)}))
            for role in ROLES:
                for statement in statements(role) if role in existing else ():
                    await connection.execute(text(statement))
    finally:
        await engine.dispose()
    return [role for role in ROLES if role not in existing]


def statements(role: str, metadata: MetaData = SQLModel.metadata) -> Iterator[str]:
    """Yield what sets the rights of a role. Raises KeyError for a table whose rights are not declared."""
    yield f"GRANT USAGE ON SCHEMA public TO {role}"
    for name, table in sorted(metadata.tables.items()):
        yield f"REVOKE ALL ON {_quoted(name)} FROM {role}"
        yield f"GRANT {_rights(role, table)} ON {_quoted(name)} TO {role}"
    yield f"REVOKE ALL ON {_REVISION_TABLE} FROM {role}"
    yield f"GRANT SELECT ON {_REVISION_TABLE} TO {role}"
    if role == AUDITING_ROLE:  # pg_dump reads where each stands; whoever inserts rows needs no right to them
        yield f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"


def _rights(role: str, table: Table) -> str:
    if role == SERVING_ROLE:
        return ", ".join(SERVING_RIGHTS[table.name])
    hidden = SECRET_COLUMNS.get(table.name)
    if not hidden:
        return "SELECT"
    shown = [_quoted(column.name) for column in table.columns if column.name not in hidden]
    return f"SELECT ({', '.join(shown)})"
