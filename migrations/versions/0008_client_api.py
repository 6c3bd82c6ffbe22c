"""What a client may say of a job, and the log of what happens to it.

Needs no stop: every column has a default.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

COLUMNS = """
ALTER TABLE generations
    ADD COLUMN cancel_after_seconds BIGINT,
    ADD COLUMN start_within_seconds BIGINT,
    ADD COLUMN image_lifetime_seconds BIGINT,
    ADD COLUMN images_expire_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN keeps_prompt BOOLEAN DEFAULT true NOT NULL,
    ADD COLUMN priority BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN webhook_url TEXT,
    ADD COLUMN webhook_events JSONB DEFAULT '[]' NOT NULL,
    ADD COLUMN retry_of TEXT,
    ADD COLUMN api_key_id TEXT,
    ADD COLUMN routing JSONB DEFAULT '[]' NOT NULL,
    ADD COLUMN purged_events BIGINT DEFAULT 0 NOT NULL;
ALTER TABLE attempts ADD COLUMN progress JSONB
"""

# Of versions before this one; `bootstrap` seals them.
PLAIN = "CREATE INDEX generations_plain_fingerprint ON generations (id) WHERE length(fingerprint) = 64"

EVENTS = """
CREATE TABLE events (
    transaction_id BIGINT DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    tenant_id TEXT NOT NULL,
    generation_id TEXT,
    number BIGINT,
    type TEXT NOT NULL,
    data JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (transaction_id, id),
    UNIQUE (generation_id, number),
    CONSTRAINT events_number CHECK ((generation_id IS NULL) = (number IS NULL))
);
CREATE INDEX events_by_tenant ON events (tenant_id, transaction_id, id)
"""


def upgrade() -> None:
    _run(*COLUMNS.split(";"), PLAIN, *EVENTS.split(";"))


def downgrade() -> None:
    _run(
        "DROP TABLE events",
        "DROP INDEX generations_plain_fingerprint",
        "ALTER TABLE attempts DROP COLUMN progress",
        """
        ALTER TABLE generations
            DROP COLUMN cancel_after_seconds, DROP COLUMN start_within_seconds,
            DROP COLUMN image_lifetime_seconds, DROP COLUMN images_expire_at, DROP COLUMN keeps_prompt,
            DROP COLUMN priority, DROP COLUMN webhook_url, DROP COLUMN webhook_events, DROP COLUMN retry_of,
            DROP COLUMN api_key_id, DROP COLUMN routing, DROP COLUMN purged_events
        """,
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
