"""What generations are found and sorted by.

Needs no stop: triggers write it, also for processes of the version before. Two indexes of generations are
built while writes wait: some seconds for a million of them. After this, `python -m admin bootstrap` goes
through the generations from before, in small steps: until then they are not found by words and metadata, nor
in lists of one model or provider.
"""

from alembic import op

from adapters.database.functions import statements

revision = "0012"
down_revision = "0010"
# Of the functions that this migration installs.
FUNCTIONS_SHA256 = "60daf508f3eebd2ec1425cec58a6c358a460cd787e7c5e87c7038001aa302ed0"

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
    "CREATE TRIGGER generations_terms_new AFTER INSERT ON generations"
    " FOR EACH ROW EXECUTE FUNCTION follow_terms()",
    "CREATE TRIGGER generations_terms AFTER UPDATE ON generations FOR EACH ROW"
    " WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at OR OLD.prompt <> NEW.prompt"
    " OR OLD.metadata <> NEW.metadata) EXECUTE FUNCTION follow_terms()",
)


def upgrade() -> None:
    _run(*TABLES.split(";"), *statements(), *GENERATIONS)


def downgrade() -> None:
    """Leave the functions: no process of the version before calls them."""
    _run(
        "DROP TRIGGER generations_terms_new ON generations",
        "DROP TRIGGER generations_terms ON generations",
        "DROP INDEX generations_by_duration",
        "DROP INDEX generations_by_cost",
        "DROP TABLE generation_terms",
    )


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
