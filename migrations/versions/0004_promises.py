"""Attempts that are pushed back, closed providers, first reported ends that stand, images not yet stored.

Needs no stop: processes of the version before run on these tables, next to processes of this one.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

UPGRADE = """
CREATE TABLE provider_closures (
    provider TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    pushed_back TEXT[] DEFAULT '{}' NOT NULL,
    code TEXT NOT NULL,
    closed_until TIMESTAMP WITH TIME ZONE,
    probe TEXT,
    probe_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (provider, endpoint)
);

ALTER TABLE generations ADD COLUMN moved_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL;

ALTER TABLE attempts ADD COLUMN tentative_at TIMESTAMP WITH TIME ZONE;

CREATE TABLE unstored_images (
    generation_id TEXT NOT NULL,
    index BIGINT NOT NULL,
    content BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (generation_id, index),
    FOREIGN KEY(generation_id) REFERENCES generations (id) ON DELETE RESTRICT
);

ALTER TABLE provider_slots ADD COLUMN endpoint TEXT DEFAULT '' NOT NULL;
ALTER TABLE provider_slots ADD COLUMN has_fallback BOOLEAN DEFAULT false NOT NULL;
ALTER TABLE provider_slots ADD COLUMN pushbacks BIGINT DEFAULT 0 NOT NULL;
ALTER TABLE provider_slots ADD COLUMN pushback_code TEXT;
ALTER TABLE provider_slots ADD COLUMN not_before TIMESTAMP WITH TIME ZONE;
DROP INDEX provider_slots_by_provider;
CREATE INDEX provider_slots_granted ON provider_slots (provider, tenant_id) WHERE granted_at IS NOT NULL;
CREATE INDEX provider_slots_not_notified ON provider_slots (provider)
    WHERE granted_at IS NOT NULL AND notified_at IS NULL;
CREATE INDEX provider_slots_waiting
    ON provider_slots (provider, endpoint, tenant_id, requested_at, generation_id)
    WHERE granted_at IS NULL AND not_before IS NULL
"""

ADVANCE_ATTEMPT = """
CREATE OR REPLACE FUNCTION advance_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
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

# What an attempt's first reported end forbids from now on was allowed before.
ADVANCE_ATTEMPT_BEFORE = """
CREATE OR REPLACE FUNCTION advance_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
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

INDEXES = (
    "generations_by_status ON generations (tenant_id, status, created_at DESC, id DESC)",
    "generations_flagged ON generations (needs_attention) WHERE needs_attention IS NOT NULL",
    "generations_not_started ON generations (checked_at) WHERE status = 'created'",
    "generations_to_cancel ON generations (checked_at)"
    " WHERE cancel_requested_at IS NOT NULL AND status NOT IN ('completed', 'failed', 'canceled')",
    "generations_by_stage ON generations (stage, moved_at)"
    " WHERE status NOT IN ('completed', 'failed', 'canceled')",
)

ADVANCE_GENERATION = """
CREATE OR REPLACE FUNCTION advance_generation() RETURNS trigger LANGUAGE plpgsql AS $$
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

ADVANCE_GENERATION_BEFORE = """
CREATE OR REPLACE FUNCTION advance_generation() RETURNS trigger LANGUAGE plpgsql AS $$
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

DOWNGRADE = """
DROP INDEX generations_by_status;
DROP INDEX generations_flagged;
DROP INDEX generations_not_started;
DROP INDEX generations_to_cancel;
DROP INDEX generations_by_stage;
ALTER TABLE generations DROP COLUMN moved_at;
DROP TABLE unstored_images;
ALTER TABLE attempts DROP COLUMN tentative_at;
DROP INDEX provider_slots_waiting;
DROP INDEX provider_slots_not_notified;
DROP INDEX provider_slots_granted;
CREATE INDEX provider_slots_by_provider ON provider_slots (provider, granted_at);
ALTER TABLE provider_slots DROP COLUMN not_before;
ALTER TABLE provider_slots DROP COLUMN pushback_code;
ALTER TABLE provider_slots DROP COLUMN pushbacks;
ALTER TABLE provider_slots DROP COLUMN has_fallback;
ALTER TABLE provider_slots DROP COLUMN endpoint;
DROP TABLE provider_closures
"""


def upgrade() -> None:
    _run(*UPGRADE.split(";"), ADVANCE_ATTEMPT, ADVANCE_GENERATION)
    _run(*(f"CREATE INDEX {index}" for index in INDEXES))


def downgrade() -> None:
    _run(ADVANCE_GENERATION_BEFORE, *DOWNGRADE.split(";"), ADVANCE_ATTEMPT_BEFORE)


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
