"""Inputs, fallbacks, provider cost, late results, and places at providers."""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = """
ALTER TABLE generations ADD COLUMN inputs JSONB DEFAULT '[]' NOT NULL;
ALTER TABLE generations ADD COLUMN mask TEXT;
ALTER TABLE generations ADD COLUMN fallback JSONB;
ALTER TABLE generations ADD COLUMN charges_rejected BOOLEAN DEFAULT false NOT NULL;
ALTER TABLE generations ADD COLUMN undelivered JSONB DEFAULT '[]' NOT NULL;

ALTER TABLE attempts ADD COLUMN moderated_at TEXT;
ALTER TABLE attempts ADD COLUMN is_free BOOLEAN;
ALTER TABLE attempts ADD COLUMN cost_amount NUMERIC;
ALTER TABLE attempts ADD COLUMN cost_unit TEXT;
ALTER TABLE attempts ADD COLUMN late_at TIMESTAMP WITH TIME ZONE;
UPDATE attempts SET cost_amount = billable_units::numeric, cost_unit = 'billable_unit'
    WHERE billable_units ~ '^[0-9]+([.][0-9]+)?$';
ALTER TABLE attempts DROP COLUMN billable_units;
ALTER TABLE attempts ADD CONSTRAINT attempts_cost CHECK ((cost_amount IS NULL) = (cost_unit IS NULL));
CREATE INDEX attempts_by_day ON attempts (started_at);

ALTER TABLE inbox ADD COLUMN moderated_at TEXT;
ALTER TABLE inbox ADD COLUMN is_free BOOLEAN DEFAULT false NOT NULL;

CREATE TABLE files (
    id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    key TEXT NOT NULL,
    width BIGINT NOT NULL,
    height BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    has_alpha BOOLEAN DEFAULT false NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT files_facts CHECK (width > 0 AND height > 0 AND size_bytes > 0 AND length(sha256) = 64),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE RESTRICT,
    UNIQUE (key)
);

CREATE INDEX files_by_expiry ON files (expires_at);

CREATE TABLE gates (
    provider TEXT NOT NULL,
    closed_until TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (provider)
);

CREATE TABLE places (
    generation_id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    provider TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    asked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    granted_at TIMESTAMP WITH TIME ZONE,
    told_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (generation_id),
    CONSTRAINT places_told CHECK (told_at IS NULL OR granted_at IS NOT NULL),
    FOREIGN KEY(generation_id) REFERENCES generations (id) ON DELETE RESTRICT
);

CREATE INDEX places_by_provider ON places (provider, granted_at);

-- Jobs that are at work while this runs have their places, or as many more would be let in.
INSERT INTO places (generation_id, ordinal, provider, tenant_id, granted_at, told_at)
SELECT a.generation_id, a.ordinal, a.provider, g.tenant_id, now(), now()
FROM attempts a JOIN generations g ON g.id = a.generation_id
WHERE g.stage IN ('submitting', 'submit_unknown', 'generating') AND a.state IN ('sending', 'accepted');
"""

LEAVE = """
CREATE FUNCTION leave_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.stage <> OLD.stage AND NEW.stage IN ('storing', 'completed', 'failed', 'canceled') THEN
        DELETE FROM places WHERE generation_id = NEW.id;
    END IF;
    RETURN NULL;
END $$
"""

TRIGGER = """
CREATE TRIGGER generations_leave AFTER UPDATE ON generations
    FOR EACH ROW EXECUTE FUNCTION leave_place()
"""


def upgrade() -> None:
    for statement in (*TABLES.split(";"), LEAVE, TRIGGER):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
