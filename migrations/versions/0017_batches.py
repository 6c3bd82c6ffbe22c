"""Tables of batches and their items, and which batch a generation was made for.

Needs no stop: processes of the version before make no batches. An index of generations is built while writes
wait: it has no entries yet, and takes some seconds for millions of them.
"""

from alembic import op

revision = "0017"
down_revision = "0016"

TABLES = """
CREATE TABLE batches (
    id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    api_key_id TEXT NOT NULL,
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL,
    status TEXT NOT NULL,
    input_file_id TEXT,
    endpoint TEXT,
    metadata JSONB NOT NULL,
    concurrency BIGINT NOT NULL,
    max_cost BIGINT,
    price_credits BIGINT DEFAULT 0 NOT NULL,
    error_code TEXT,
    error_count BIGINT DEFAULT 0 NOT NULL,
    errors JSONB DEFAULT '[]' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    cancel_requested_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    checked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    content_erased_at TIMESTAMP WITH TIME ZONE,
    total_items BIGINT DEFAULT 0 NOT NULL,
    completed_items BIGINT DEFAULT 0 NOT NULL,
    failed_items BIGINT DEFAULT 0 NOT NULL,
    canceled_items BIGINT DEFAULT 0 NOT NULL,
    charged_credits BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT batches_status
        CHECK (status IN ('validating', 'in_progress', 'canceling', 'completed', 'failed', 'canceled')),
    CONSTRAINT batches_amounts CHECK (concurrency >= 1 AND price_credits >= 0),
    CONSTRAINT batches_finished
        CHECK ((status IN ('completed', 'failed', 'canceled')) = (finished_at IS NOT NULL)),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE RESTRICT
);
CREATE INDEX batches_listed ON batches (tenant_id, id);
CREATE INDEX batches_open ON batches (checked_at) WHERE status NOT IN ('completed', 'failed', 'canceled');
CREATE INDEX batches_open_by_tenant ON batches (tenant_id)
    WHERE status NOT IN ('completed', 'failed', 'canceled');
CREATE INDEX batches_with_content ON batches (tenant_id, finished_at)
    WHERE finished_at IS NOT NULL AND content_erased_at IS NULL;
CREATE TABLE batch_items (
    batch_id TEXT NOT NULL,
    index BIGINT NOT NULL,
    custom_id TEXT,
    request JSONB,
    price_credits BIGINT NOT NULL,
    idempotency_key TEXT,
    state TEXT NOT NULL,
    generation_id TEXT,
    is_attached BOOLEAN DEFAULT false NOT NULL,
    error_code TEXT,
    error_text TEXT,
    PRIMARY KEY (batch_id, index),
    UNIQUE (batch_id, custom_id),
    CONSTRAINT batch_items_state CHECK (state IN ('waiting', 'started', 'failed', 'canceled')),
    CONSTRAINT batch_items_request CHECK ((state = 'waiting') = (request IS NOT NULL)),
    CONSTRAINT batch_items_generation CHECK (state <> 'started' OR generation_id IS NOT NULL),
    CONSTRAINT batch_items_amounts CHECK (index >= 0 AND price_credits >= 0),
    FOREIGN KEY(batch_id) REFERENCES batches (id) ON DELETE RESTRICT,
    FOREIGN KEY(generation_id) REFERENCES generations (id) ON DELETE RESTRICT
);
CREATE INDEX batch_items_attached ON batch_items (batch_id) WHERE is_attached;
CREATE INDEX batch_items_attached_to ON batch_items (generation_id) WHERE is_attached;
CREATE INDEX batch_items_by_state ON batch_items (batch_id, state, index);
CREATE UNIQUE INDEX batch_items_one_generation ON batch_items (generation_id)
    WHERE generation_id IS NOT NULL AND NOT is_attached
"""

# Last: writes of generations wait for them.
CHANGES = (
    "ALTER TABLE input_files DROP CONSTRAINT input_files_facts",
    "ALTER TABLE input_files ADD CONSTRAINT input_files_facts CHECK ("
    "(width > 0 AND height > 0 OR content_type = 'application/jsonl')"
    " AND size_bytes > 0 AND length(sha256) = 64)",
    "ALTER TABLE generations ADD COLUMN batch_id TEXT",
    "CREATE INDEX generations_of_batch ON generations (batch_id, status) WHERE batch_id IS NOT NULL",
)


def upgrade() -> None:
    _run(*TABLES.split(";"), *CHANGES)


def downgrade() -> None:
    _run(
        "DROP INDEX generations_of_batch",
        "ALTER TABLE generations DROP COLUMN batch_id",
        "DELETE FROM input_files WHERE content_type = 'application/jsonl'",
        "ALTER TABLE input_files DROP CONSTRAINT input_files_facts",
        "ALTER TABLE input_files ADD CONSTRAINT input_files_facts CHECK ("
        "width > 0 AND height > 0 AND size_bytes > 0 AND length(sha256) = 64)",
        "DROP TABLE batch_items",
        "DROP TABLE batches",
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
