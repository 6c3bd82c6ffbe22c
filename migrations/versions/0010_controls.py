"""The database keeps what a client says of one job: when it ends, when it must have started, what stays.

Needs no stop: every column has a default, and processes of the version before call the same functions. While
indexes are built writes wait: some seconds for a million generations.
"""

from alembic import op

revision = "0010"
down_revision = "0009"

UPGRADE = """
ALTER TABLE provider_slots ADD COLUMN IF NOT EXISTS rank BIGINT DEFAULT 0 NOT NULL;
DROP INDEX provider_slots_waiting;
CREATE INDEX provider_slots_waiting
    ON provider_slots (provider, endpoint, tenant_id, rank, requested_at, generation_id)
    WHERE granted_at IS NULL AND not_before IS NULL;
ALTER TABLE generations ADD COLUMN IF NOT EXISTS canceled_by TEXT;
CREATE INDEX generations_past_cancel_at
    ON generations (((created_at AT TIME ZONE 'UTC') + cancel_after_seconds * interval '1 second'))
    WHERE cancel_after_seconds IS NOT NULL AND status NOT IN ('completed', 'failed', 'canceled');
CREATE INDEX generations_with_images_to_expire ON generations (images_expire_at)
    WHERE images_expire_at IS NOT NULL AND images_erased_at IS NULL;
DROP FUNCTION IF EXISTS is_canceled_by_client(generations, text, text)
"""

DOWNGRADE = """
DROP INDEX generations_with_images_to_expire;
DROP INDEX generations_past_cancel_at;
DROP INDEX provider_slots_waiting;
CREATE INDEX provider_slots_waiting
    ON provider_slots (provider, endpoint, tenant_id, requested_at, generation_id)
    WHERE granted_at IS NULL AND not_before IS NULL
"""


def upgrade() -> None:
    _run(*UPGRADE.split(";"))


def downgrade() -> None:
    """Leave the two columns that functions write."""
    _run(*DOWNGRADE.split(";"))


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
