"""Rules that no statement may break, enforced by the database."""

from sqlalchemy import DDL, event
from sqlmodel import SQLModel

from adapters.database import functions
from adapters.database.tables.columns import TERMINAL

IMMUTABLE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""

BALANCED = """
CREATE FUNCTION refuse_imbalance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM written GROUP BY transfer_id HAVING sum(amount_credits) <> 0) THEN
        RAISE EXCEPTION 'the entries of a transfer must add up to zero' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""

FORWARD = """
CREATE FUNCTION advance_generation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ranks CONSTANT text[] := ARRAY['created', 'queued', 'processing'];
BEGIN
    IF OLD.status IN ('completed', 'failed', 'canceled')
       AND (OLD.status, OLD.stage, OLD.error_code, OLD.held_credits, OLD.charged_credits,
            OLD.refunded_credits, OLD.finished_at)
           IS DISTINCT FROM
           (NEW.status, NEW.stage, NEW.error_code, NEW.held_credits, NEW.charged_credits,
            NEW.refunded_credits, NEW.finished_at)
    THEN
        RAISE EXCEPTION 'generation % has ended', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF array_position(ranks, NEW.status) < array_position(ranks, OLD.status) THEN
        RAISE EXCEPTION 'generation % may not go back to %', OLD.id, NEW.status
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.status <> OLD.status THEN
        CASE NEW.status
            WHEN 'queued' THEN NEW.queued_at := now();
            WHEN 'processing' THEN NEW.processing_at := now();
            ELSE NEW.finished_at := now();
        END CASE;
    END IF;
    IF NEW.stage = 'storing' AND OLD.storing_at IS NULL THEN
        NEW.storing_at := now();
    END IF;
    IF NEW.stage <> OLD.stage THEN
        NEW.checked_at := now();
        NEW.moved_at := now();
    END IF;
    RETURN NEW;
END $$
"""

# However a provider's work ends, its slot is free in the same transaction: none can leak.
RELEASE_SLOT = """
CREATE FUNCTION release_slot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.stage <> OLD.stage AND NEW.stage IN ('storing', 'completed', 'failed', 'canceled') THEN
        DELETE FROM provider_slots WHERE generation_id = NEW.id;
    END IF;
    RETURN NULL;
END $$
"""

# A slot that is granted has a number, also one that a process of the version before granted: it takes a new
# number above all others. One that was given back, because the provider pushed its attempt back, has none.
FOLLOW_GRANT = """
CREATE FUNCTION follow_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.granted_at IS NULL THEN
        UPDATE provider_capacity SET generation_id = NULL WHERE generation_id = NEW.generation_id;
    ELSIF NOT EXISTS (SELECT FROM provider_capacity WHERE generation_id = NEW.generation_id) THEN
        INSERT INTO provider_capacity (provider, number, generation_id)
        SELECT NEW.provider, max(number) + 1, NEW.generation_id FROM provider_capacity
        WHERE provider = NEW.provider HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$
"""

# The table of domain/attempt.py; a test holds that both agree.
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
        WHEN 'rejected' THEN ARRAY['failed']
        WHEN 'accepted' THEN ARRAY['succeeded', 'failed', 'failed_uncharged']
        WHEN 'failed_uncharged' THEN ARRAY['failed']
        ELSE ARRAY[]::text[]
    END) THEN
        RAISE EXCEPTION 'attempt %/% may not go from % to %',
            OLD.generation_id, OLD.ordinal, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""

TRIGGERS = (
    "CREATE TRIGGER transfers_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER entries_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON entries"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER lot_entries_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON lot_entries"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER entries_balanced AFTER INSERT ON entries REFERENCING NEW TABLE AS written"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_imbalance()",
    "CREATE TRIGGER audit_events_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER generations_forward BEFORE UPDATE ON generations"
    " FOR EACH ROW EXECUTE FUNCTION advance_generation()",
    "CREATE TRIGGER generations_release_slot AFTER UPDATE ON generations"
    " FOR EACH ROW EXECUTE FUNCTION release_slot()",
    "CREATE TRIGGER provider_slots_capacity AFTER UPDATE OF granted_at ON provider_slots"
    " FOR EACH ROW EXECUTE FUNCTION follow_grant()",
    "CREATE TRIGGER attempts_forward BEFORE INSERT OR UPDATE ON attempts"
    " FOR EACH ROW EXECUTE FUNCTION advance_attempt()",
    "CREATE TRIGGER generations_controls BEFORE UPDATE ON generations FOR EACH ROW"
    f" WHEN (NEW.status IN {TERMINAL} AND OLD.status NOT IN {TERMINAL}"
    " AND (NEW.image_lifetime_seconds IS NOT NULL OR NOT NEW.keeps_prompt))"
    " EXECUTE FUNCTION apply_controls()",
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
    "CREATE TRIGGER generations_terms_new AFTER INSERT ON generations"
    " FOR EACH ROW EXECUTE FUNCTION follow_terms()",
    "CREATE TRIGGER generations_terms AFTER UPDATE ON generations FOR EACH ROW"
    " WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at OR OLD.prompt <> NEW.prompt"
    " OR OLD.metadata <> NEW.metadata) EXECUTE FUNCTION follow_terms()",
)

_CHECKS = (IMMUTABLE, BALANCED, FORWARD, RELEASE_SLOT, FOLLOW_GRANT, ADVANCE_ATTEMPT)
for statement in (*_CHECKS, *functions.statements(), *TRIGGERS):
    # DDL() fills in `%(...)s` itself, so a literal percent sign is doubled.
    ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    event.listen(SQLModel.metadata, "after_create", ddl)
