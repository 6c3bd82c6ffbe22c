"""Rules that no statement may break, held by the database itself."""

from sqlalchemy import DDL, event
from sqlmodel import SQLModel

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
    END IF;
    RETURN NEW;
END $$
"""

# Whichever way a provider's work ends, its place is free in the same transaction: none can leak.
LEAVE = """
CREATE FUNCTION leave_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.stage <> OLD.stage AND NEW.stage IN ('storing', 'completed', 'failed', 'canceled') THEN
        DELETE FROM places WHERE generation_id = NEW.id;
    END IF;
    RETURN NULL;
END $$
"""

TRIGGERS = (
    "CREATE TRIGGER transfers_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER entries_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON entries"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER entries_balanced AFTER INSERT ON entries REFERENCING NEW TABLE AS written"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_imbalance()",
    "CREATE TRIGGER generations_forward BEFORE UPDATE ON generations"
    " FOR EACH ROW EXECUTE FUNCTION advance_generation()",
    "CREATE TRIGGER generations_leave AFTER UPDATE ON generations"
    " FOR EACH ROW EXECUTE FUNCTION leave_place()",
)

for statement in (IMMUTABLE, BALANCED, FORWARD, LEAVE, *TRIGGERS):
    # DDL() fills in `%(...)s` itself, so a literal percent sign is doubled.
    ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    event.listen(SQLModel.metadata, "after_create", ddl)
