"""What generations are found and sorted by.

Needs no stop: triggers write it, also for processes of the version before (0013). Two indexes of
generations are built while writes wait: some seconds for a million of them. After this, `bootstrap` goes
through the generations from before, in small steps: until then they are not found by words and metadata, nor
in lists of one model or provider.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

TABLES = """
CREATE TABLE generation_terms (
    generation_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    terms BIGINT[] NOT NULL,
    PRIMARY KEY (generation_id)
);
CREATE INDEX generation_terms_by_model
    ON generation_terms (tenant_id, model, created_at DESC, generation_id DESC);
CREATE INDEX generation_terms_by_provider
    ON generation_terms (tenant_id, provider, created_at DESC, generation_id DESC);
CREATE INDEX generation_terms_found ON generation_terms USING gin (terms)
    WITH (gin_pending_list_limit = 128)
"""

# Last: writes of generations wait for them.
GENERATIONS = (
    "CREATE INDEX generations_by_duration ON generations (tenant_id, (finished_at - created_at), id)"
    " WHERE finished_at IS NOT NULL AND deleted_at IS NULL",
    "CREATE INDEX generations_by_cost ON generations (tenant_id, charged_credits, id)"
    " WHERE finished_at IS NOT NULL AND deleted_at IS NULL",
)


def upgrade() -> None:
    _run(*TABLES.split(";"), *GENERATIONS)


def downgrade() -> None:
    _run(
        "DROP INDEX generations_by_duration",
        "DROP INDEX generations_by_cost",
        "DROP TABLE generation_terms",
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
