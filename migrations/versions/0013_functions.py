"""The functions of the steps, which keep the log of events, clients' controls, and what jobs are found by.

Needs no stop: triggers write for processes of the version before, too, and their functions have the same
names. While the index is built writes wait: some seconds for a million generations.
"""

from alembic import op

from adapters.database.functions import statements

revision = "0013"
down_revision = "0012"
# Of the functions that this migration installs.
FUNCTIONS_SHA256 = "5007514a0ca7a887d467322536d8802f09b24d5f58c80d7941c7c6f362789a0b"

COMPLETED = (
    "CREATE INDEX generations_completed ON generations (model, finished_at) WHERE status = 'completed'"
)

TRIGGERS = (
    "CREATE TRIGGER generations_log_new AFTER INSERT ON generations"
    " FOR EACH ROW EXECUTE FUNCTION log_generation()",
    "CREATE TRIGGER generations_log AFTER UPDATE ON generations FOR EACH ROW"
    " WHEN (OLD.stage <> NEW.stage OR OLD.status <> NEW.status"
    " OR OLD.cancel_requested_at IS DISTINCT FROM NEW.cancel_requested_at"
    " OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at) EXECUTE FUNCTION log_generation()",
    "CREATE TRIGGER attempts_log_new AFTER INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION log_attempt()",
    "CREATE TRIGGER attempts_log AFTER UPDATE ON attempts FOR EACH ROW"
    " WHEN (OLD.state <> NEW.state OR OLD.late_at IS NULL AND NEW.late_at IS NOT NULL)"
    " EXECUTE FUNCTION log_attempt()",
    "CREATE TRIGGER inbox_log AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION log_inbox()",
    "CREATE TRIGGER transfers_log AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION log_transfer()",
    "CREATE TRIGGER images_log AFTER INSERT ON images REFERENCING NEW TABLE AS written"
    " FOR EACH STATEMENT EXECUTE FUNCTION log_images()",
    "CREATE TRIGGER events_immutable BEFORE UPDATE OR TRUNCATE ON events"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    """
CREATE TRIGGER generations_controls BEFORE UPDATE ON generations FOR EACH ROW
    WHEN (NEW.status IN ('completed', 'failed', 'canceled')
        AND OLD.status NOT IN ('completed', 'failed', 'canceled')
        AND (NEW.image_lifetime_seconds IS NOT NULL OR NOT NEW.keeps_prompt))
    EXECUTE FUNCTION apply_controls()
    """,
    "CREATE TRIGGER generations_terms_new AFTER INSERT ON generations"
    " FOR EACH ROW EXECUTE FUNCTION follow_terms()",
    "CREATE TRIGGER generations_terms AFTER UPDATE ON generations FOR EACH ROW"
    " WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at OR OLD.prompt <> NEW.prompt"
    " OR OLD.metadata <> NEW.metadata) EXECUTE FUNCTION follow_terms()",
)

# What the functions of the steps call, without the columns and the log of this version.
WITHOUT = (
    "CREATE OR REPLACE FUNCTION write_event(p_tenant text, p_generation text, p_type text, p_data jsonb)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION log_slot(p_generation generations, p_ordinal bigint)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION"
    " log_repeated_webhook(p_generation generations, p_ordinal bigint, p_provider text)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION cancel_at(p_generation generations)"
    " RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT NULL::timestamptz $$",
    "CREATE OR REPLACE FUNCTION is_past_start_by(p_generation generations)"
    " RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT false $$",
    "CREATE OR REPLACE FUNCTION slot_rank(p_generation generations)"
    " RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT 0::bigint $$",
    "CREATE OR REPLACE FUNCTION keeps_message(p_generation generations)"
    " RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT keeps_provider_data(p_generation) $$",
)


# Processes of the version before write these tables, by the triggers, before `bootstrap` sets all rights.
RIGHTS = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'darkroom_serving') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON events, generation_terms TO darkroom_serving;
    END IF;
END $$
"""


def upgrade() -> None:
    _run(COMPLETED, *statements(without=("lots", "grants")), RIGHTS, *TRIGGERS)


def downgrade() -> None:
    """Leave the functions, which write no event and know no controls any more."""
    _run(
        "DROP TRIGGER generations_log_new ON generations",
        "DROP TRIGGER generations_log ON generations",
        "DROP TRIGGER attempts_log_new ON attempts",
        "DROP TRIGGER attempts_log ON attempts",
        "DROP TRIGGER inbox_log ON inbox",
        "DROP TRIGGER transfers_log ON transfers",
        "DROP TRIGGER images_log ON images",
        "DROP TRIGGER events_immutable ON events",
        "DROP TRIGGER generations_controls ON generations",
        "DROP TRIGGER generations_terms_new ON generations",
        "DROP TRIGGER generations_terms ON generations",
        "DROP INDEX generations_completed",
        *WITHOUT,
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
