"""What a client may say of a job, and the log of what happens to it.

Needs no stop: every column has a default. What processes of the version before change is in the log, too:
triggers write it.
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


def upgrade() -> None:
    _run(*COLUMNS.split(";"))


def downgrade() -> None:
    _run(
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
