"""Which jobs have a client that waits for them, so that a repeated request finds its own.

Needs no stop: processes of the version before neither write the table nor read it.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

TABLES = """
CREATE TABLE image_requests (
    generation_id TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    api_key_id TEXT NOT NULL,
    route TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    retry_count BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    connected_until TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (generation_id),
    FOREIGN KEY (generation_id) REFERENCES generations (id) ON DELETE RESTRICT,
    UNIQUE (connection_id),
    CONSTRAINT image_requests_retry_count CHECK (retry_count >= 0)
);
CREATE INDEX image_requests_repeated ON image_requests (api_key_id, route, fingerprint, created_at DESC);
CREATE INDEX image_requests_by_age ON image_requests (created_at)
"""


def upgrade() -> None:
    for statement in TABLES.split(";"):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP TABLE image_requests")
