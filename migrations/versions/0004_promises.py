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

DOWNGRADE = """
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
    _run(*UPGRADE.split(";"), ADVANCE_ATTEMPT)


def downgrade() -> None:
    _run(*DOWNGRADE.split(";"), ADVANCE_ATTEMPT_BEFORE)


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
