"""One vocabulary: provider slots and pauses, input files, and the attempt as one state machine.

Needs a stop: processes of the version before cannot run on these tables. It refuses to run while one is
connected; docs/operations.md tells how to deploy it.
"""

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"

# Every process of the service names its connections so; the migration's own has another name.
_APPLICATION_NAME = "darkroom"

UPGRADE = """
ALTER TABLE gates RENAME TO provider_pauses;
ALTER TABLE provider_pauses RENAME COLUMN closed_until TO paused_until;
ALTER TABLE provider_pauses RENAME CONSTRAINT gates_pkey TO provider_pauses_pkey;

ALTER TABLE places RENAME TO provider_slots;
ALTER TABLE provider_slots RENAME COLUMN asked_at TO requested_at;
ALTER TABLE provider_slots RENAME COLUMN told_at TO notified_at;
ALTER TABLE provider_slots RENAME CONSTRAINT places_pkey TO provider_slots_pkey;
ALTER TABLE provider_slots RENAME CONSTRAINT places_told TO provider_slots_notified;
ALTER TABLE provider_slots RENAME CONSTRAINT places_generation_id_fkey TO provider_slots_generation_id_fkey;
ALTER INDEX places_by_provider RENAME TO provider_slots_by_provider;

ALTER TABLE files RENAME TO input_files;
ALTER TABLE input_files RENAME CONSTRAINT files_pkey TO input_files_pkey;
ALTER TABLE input_files RENAME CONSTRAINT files_facts TO input_files_facts;
ALTER TABLE input_files RENAME CONSTRAINT files_key_key TO input_files_key_key;
ALTER TABLE input_files RENAME CONSTRAINT files_tenant_id_fkey TO input_files_tenant_id_fkey;
ALTER INDEX files_by_expiry RENAME TO input_files_by_expiry;

ALTER TABLE generations RENAME COLUMN swept_at TO objects_deleted_at;
ALTER INDEX generations_unswept RENAME TO generations_with_orphaned_objects;

ALTER TABLE inbox RENAME COLUMN verdict TO status;
ALTER TABLE inbox RENAME COLUMN is_free TO does_not_charge;
UPDATE inbox SET result = result - 'verdict' || jsonb_build_object('status', result -> 'verdict');

-- Version 0002 wrote JSON's null where there was no result.
UPDATE attempts SET result = NULL WHERE result = 'null';
UPDATE attempts SET provider_urls = NULL WHERE provider_urls = 'null';
ALTER TABLE attempts DROP CONSTRAINT attempts_state;
UPDATE attempts SET
    state = CASE
        WHEN result ->> 'verdict' = 'succeeded' THEN 'succeeded'
        WHEN result IS NOT NULL AND is_free THEN 'failed_uncharged'
        WHEN result IS NOT NULL THEN 'failed'
        ELSE state END,
    result = result - 'verdict' || jsonb_build_object('status', result -> 'verdict');
UPDATE attempts a SET state = 'unknown' FROM generations g
    WHERE g.id = a.generation_id AND g.stage = 'submit_unknown' AND a.state = 'sending';
ALTER TABLE attempts DROP COLUMN is_free;
ALTER TABLE attempts ADD CONSTRAINT attempts_state CHECK (state IN
    ('sending', 'unknown', 'not_sent', 'rejected', 'accepted', 'succeeded', 'failed', 'failed_uncharged'));
ALTER TABLE attempts ADD CONSTRAINT attempts_result
    CHECK ((state IN ('succeeded', 'failed', 'failed_uncharged')) = (result IS NOT NULL));

DROP TRIGGER generations_leave ON generations;
DROP FUNCTION leave_place()
"""

# PostgreSQL 18 names NOT NULL constraints by table and column, and keeps the name when these are renamed.
RENAME_NOT_NULL = """
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT c.conname AS name, t.relname AS parent, t.relname || '_' || a.attname || '_not_null' AS wanted
        FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'n' AND t.relnamespace = current_schema()::regnamespace
            AND c.conname <> t.relname || '_' || a.attname || '_not_null'
    LOOP
        EXECUTE format('ALTER TABLE %I RENAME CONSTRAINT %I TO %I', found.parent, found.name, found.wanted);
    END LOOP;
END $$
"""

RELEASE_SLOT = """
CREATE FUNCTION release_slot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.stage <> OLD.stage AND NEW.stage IN ('storing', 'completed', 'failed', 'canceled') THEN
        DELETE FROM provider_slots WHERE generation_id = NEW.id;
    END IF;
    RETURN NULL;
END $$
"""

ADVANCE_ATTEMPT = """
CREATE FUNCTION advance_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'sending' THEN
            RAISE EXCEPTION 'an attempt begins as sending, not as %', NEW.state
                USING ERRCODE = 'restrict_violation';
        END IF;
    ELSIF NEW.state <> OLD.state AND NEW.state <> ALL (CASE OLD.state
        WHEN 'sending' THEN ARRAY['unknown', 'not_sent', 'rejected', 'accepted',
            'succeeded', 'failed', 'failed_uncharged']
        WHEN 'unknown' THEN ARRAY['not_sent', 'rejected', 'accepted',
            'succeeded', 'failed', 'failed_uncharged']
        WHEN 'not_sent' THEN ARRAY['sending', 'accepted', 'succeeded', 'failed', 'failed_uncharged']
        WHEN 'rejected' THEN ARRAY['succeeded', 'failed', 'failed_uncharged']
        WHEN 'accepted' THEN ARRAY['succeeded', 'failed', 'failed_uncharged']
        WHEN 'succeeded' THEN ARRAY['failed', 'failed_uncharged']
        WHEN 'failed' THEN ARRAY['succeeded', 'failed_uncharged']
        WHEN 'failed_uncharged' THEN ARRAY['succeeded', 'failed']
    END) THEN
        RAISE EXCEPTION 'attempt %/% may not go from % to %',
            OLD.generation_id, OLD.ordinal, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""

TRIGGERS = """
CREATE TRIGGER generations_release_slot AFTER UPDATE ON generations
    FOR EACH ROW EXECUTE FUNCTION release_slot();
CREATE TRIGGER attempts_forward BEFORE INSERT OR UPDATE ON attempts
    FOR EACH ROW EXECUTE FUNCTION advance_attempt()
"""

# What an attempt's state held in `is_free` and the absence of a job goes back to these columns.
DOWNGRADE = """
DROP TRIGGER attempts_forward ON attempts;
DROP FUNCTION advance_attempt();
DROP TRIGGER generations_release_slot ON generations;
DROP FUNCTION release_slot();

ALTER TABLE attempts DROP CONSTRAINT attempts_state;
ALTER TABLE attempts DROP CONSTRAINT attempts_result;
ALTER TABLE attempts ADD COLUMN is_free BOOLEAN;
UPDATE attempts SET
    is_free = CASE
        WHEN state IN ('rejected', 'failed_uncharged') THEN true
        WHEN state IN ('succeeded', 'failed') THEN false END,
    result = result - 'status' || jsonb_build_object('verdict', result -> 'status'),
    state = CASE
        WHEN state = 'unknown' THEN 'sending'
        WHEN state IN ('succeeded', 'failed', 'failed_uncharged') AND provider_job_id IS NULL THEN 'sending'
        WHEN state IN ('succeeded', 'failed', 'failed_uncharged') THEN 'accepted'
        ELSE state END;
ALTER TABLE attempts ADD CONSTRAINT attempts_state
    CHECK (state IN ('sending', 'accepted', 'rejected', 'not_sent'));

UPDATE inbox SET result = result - 'status' || jsonb_build_object('verdict', result -> 'status');
ALTER TABLE inbox RENAME COLUMN does_not_charge TO is_free;
ALTER TABLE inbox RENAME COLUMN status TO verdict;

ALTER INDEX generations_with_orphaned_objects RENAME TO generations_unswept;
ALTER TABLE generations RENAME COLUMN objects_deleted_at TO swept_at;

ALTER INDEX input_files_by_expiry RENAME TO files_by_expiry;
ALTER TABLE input_files RENAME CONSTRAINT input_files_tenant_id_fkey TO files_tenant_id_fkey;
ALTER TABLE input_files RENAME CONSTRAINT input_files_key_key TO files_key_key;
ALTER TABLE input_files RENAME CONSTRAINT input_files_facts TO files_facts;
ALTER TABLE input_files RENAME CONSTRAINT input_files_pkey TO files_pkey;
ALTER TABLE input_files RENAME TO files;

ALTER INDEX provider_slots_by_provider RENAME TO places_by_provider;
ALTER TABLE provider_slots RENAME CONSTRAINT provider_slots_generation_id_fkey TO places_generation_id_fkey;
ALTER TABLE provider_slots RENAME CONSTRAINT provider_slots_notified TO places_told;
ALTER TABLE provider_slots RENAME CONSTRAINT provider_slots_pkey TO places_pkey;
ALTER TABLE provider_slots RENAME COLUMN notified_at TO told_at;
ALTER TABLE provider_slots RENAME COLUMN requested_at TO asked_at;
ALTER TABLE provider_slots RENAME TO places;

ALTER TABLE provider_pauses RENAME CONSTRAINT provider_pauses_pkey TO gates_pkey;
ALTER TABLE provider_pauses RENAME COLUMN paused_until TO closed_until;
ALTER TABLE provider_pauses RENAME TO gates
"""

LEAVE_PLACE = """
CREATE FUNCTION leave_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.stage <> OLD.stage AND NEW.stage IN ('storing', 'completed', 'failed', 'canceled') THEN
        DELETE FROM places WHERE generation_id = NEW.id;
    END IF;
    RETURN NULL;
END $$
"""

LEAVE_TRIGGER = """
CREATE TRIGGER generations_leave AFTER UPDATE ON generations
    FOR EACH ROW EXECUTE FUNCTION leave_place()
"""


def upgrade() -> None:
    _refuse_while_processes_run()
    _run(*UPGRADE.split(";"), RENAME_NOT_NULL, RELEASE_SLOT, ADVANCE_ATTEMPT, *TRIGGERS.split(";"))


def downgrade() -> None:
    _refuse_while_processes_run()
    _run(*DOWNGRADE.split(";"), RENAME_NOT_NULL, LEAVE_PLACE, LEAVE_TRIGGER)


def _refuse_while_processes_run() -> None:
    query = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = :name"
    )
    found = op.get_bind().execute(query, {"name": _APPLICATION_NAME})
    if connections := found.scalar_one():
        raise RuntimeError(
            f"migration {revision} needs a stop: stop the API and every worker first"
            f" ({connections} of their connections are open; see docs/operations.md)"
        )


def _run(*statements: str) -> None:
    for statement in statements:
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
