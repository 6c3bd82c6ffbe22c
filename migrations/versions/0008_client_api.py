"""What a client may say of a job, and the log of what happens to it.

Needs no stop: every column has a default. What processes of the version before change is in the log, too:
triggers write it.
"""

from alembic import op

from adapters.database.functions import statements

revision = "0008"
down_revision = "0007"
# Of the functions that this migration installs.
FUNCTIONS_SHA256 = "fe2731437f9c441c4ec0291192f50c03befcec50ce713bc9f54b051cf894f611"

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
)

# What the functions of the steps call.
NO_EVENTS = (
    "CREATE OR REPLACE FUNCTION write_event(p_tenant text, p_generation text, p_type text, p_data jsonb)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION log_slot(p_generation generations, p_ordinal bigint)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
    "CREATE OR REPLACE FUNCTION"
    " log_repeated_webhook(p_generation generations, p_ordinal bigint, p_provider text)"
    " RETURNS void LANGUAGE sql AS $$ SELECT $$",
)


def upgrade() -> None:
    _run(*COLUMNS.split(";"), PLAIN, *EVENTS.split(";"), *statements(), *TRIGGERS)


def downgrade() -> None:
    """Leave the functions, which write no event any more."""
    _run(
        *NO_EVENTS,
        "DROP TRIGGER generations_log_new ON generations",
        "DROP TRIGGER generations_log ON generations",
        "DROP TRIGGER attempts_log_new ON attempts",
        "DROP TRIGGER attempts_log ON attempts",
        "DROP TRIGGER inbox_log ON inbox",
        "DROP TRIGGER transfers_log ON transfers",
        "DROP TRIGGER images_log ON images",
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
