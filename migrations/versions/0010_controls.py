"""The database keeps what a client says of one job: when it ends, when it must have started, what stays.

Needs no stop: every column has a default, and processes of the version before call the same functions. While
indexes are built writes wait: some seconds for a million generations.
"""

from alembic import op

from adapters.database.functions import statements

revision = "0010"
down_revision = "0009"
# Of the functions that this migration installs.
FUNCTIONS_SHA256 = "8e4c0000f0a86981840387cdbb68be76fd8ea9c56e23a75c749ba331351cc23d"

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

TRIGGER = """
CREATE TRIGGER generations_controls BEFORE UPDATE ON generations FOR EACH ROW
    WHEN (NEW.status IN ('completed', 'failed', 'canceled')
        AND OLD.status NOT IN ('completed', 'failed', 'canceled')
        AND (NEW.image_lifetime_seconds IS NOT NULL OR NOT NEW.keeps_prompt))
    EXECUTE FUNCTION apply_controls()
"""

DOWNGRADE = """
DROP TRIGGER generations_controls ON generations;
DROP INDEX generations_with_images_to_expire;
DROP INDEX generations_past_cancel_at;
DROP INDEX provider_slots_waiting;
CREATE INDEX provider_slots_waiting
    ON provider_slots (provider, endpoint, tenant_id, requested_at, generation_id)
    WHERE granted_at IS NULL AND not_before IS NULL
"""

# What the functions of the steps call, without the columns of the version before this one.
NO_CONTROLS = (
    "CREATE OR REPLACE FUNCTION cancel_at(p_generation generations)"
    " RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT NULL::timestamptz $$",
    "CREATE OR REPLACE FUNCTION is_past_start_by(p_generation generations)"
    " RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT false $$",
    "CREATE OR REPLACE FUNCTION slot_rank(p_generation generations)"
    " RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT 0::bigint $$",
    "CREATE OR REPLACE FUNCTION keeps_message(p_generation generations)"
    " RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT keeps_provider_data(p_generation) $$",
)


def upgrade() -> None:
    _run(*UPGRADE.split(";"), *statements(), TRIGGER)


def downgrade() -> None:
    """Leave the functions, which know no controls any more, and the two columns that they write."""
    _run(*DOWNGRADE.split(";"), *NO_CONTROLS)


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
