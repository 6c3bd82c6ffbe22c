"""Webhooks to clients: endpoints, deliveries and their attempts, and how far the log of events has been read.

Needs no stop: processes of the version before know nothing of it.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

TABLES = """
CREATE TABLE webhook_endpoints (
    id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    url TEXT,
    description TEXT DEFAULT '' NOT NULL,
    event_types JSONB DEFAULT '[]' NOT NULL,
    secret TEXT NOT NULL,
    hint TEXT NOT NULL,
    rotated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    previous_secret TEXT,
    previous_until TIMESTAMP WITH TIME ZONE,
    is_enabled BOOLEAN DEFAULT true NOT NULL,
    disabled_reason TEXT,
    failing_since TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT webhook_endpoints_enabled CHECK (is_enabled = (disabled_reason IS NULL)),
    CONSTRAINT webhook_endpoints_previous CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE RESTRICT
);
CREATE INDEX webhook_endpoints_by_tenant ON webhook_endpoints (tenant_id, created_at, id)
    WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX webhook_endpoints_of_jobs ON webhook_endpoints (tenant_id)
    WHERE url IS NULL AND deleted_at IS NULL;
CREATE TABLE deliveries (
    id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    event_id BIGINT,
    generation_id TEXT,
    number BIGINT,
    type TEXT NOT NULL,
    data JSONB NOT NULL,
    url TEXT,
    status TEXT NOT NULL,
    run BIGINT DEFAULT 1 NOT NULL,
    attempts BIGINT DEFAULT 0 NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (endpoint_id, event_id),
    CONSTRAINT deliveries_status CHECK (
        status IN ('pending', 'succeeded', 'failed', 'exhausted', 'canceled')
    ),
    CONSTRAINT deliveries_finished CHECK ((status = 'pending') = (finished_at IS NULL)),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE RESTRICT,
    FOREIGN KEY(endpoint_id) REFERENCES webhook_endpoints (id) ON DELETE RESTRICT
);
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id, created_at DESC, id DESC);
CREATE INDEX deliveries_by_tenant ON deliveries (tenant_id, id);
CREATE INDEX deliveries_unstarted ON deliveries (tenant_id, created_at, id)
    WHERE status = 'pending' AND started_at IS NULL;
CREATE INDEX deliveries_waiting ON deliveries (next_attempt_at)
    WHERE status = 'pending' AND started_at IS NOT NULL;
CREATE INDEX deliveries_ended ON deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE delivery_attempts (
    delivery_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    response_status BIGINT,
    duration_ms BIGINT NOT NULL,
    error_code TEXT,
    excerpt TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (delivery_id, number),
    CONSTRAINT delivery_attempts_excerpt CHECK (length(excerpt) <= 200),
    FOREIGN KEY(delivery_id) REFERENCES deliveries (id) ON DELETE CASCADE
);
CREATE TABLE event_cursors (
    name TEXT NOT NULL,
    transaction_id BIGINT NOT NULL,
    event_id BIGINT NOT NULL,
    PRIMARY KEY (name)
);
INSERT INTO event_cursors (name, transaction_id, event_id) VALUES ('deliveries', 0, 0)
"""


def upgrade() -> None:
    _run(*TABLES.split(";"))


def downgrade() -> None:
    _run(*(f"DROP TABLE {name}" for name in ("event_cursors", "delivery_attempts", "deliveries")))
    _run("DROP TABLE webhook_endpoints")


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
