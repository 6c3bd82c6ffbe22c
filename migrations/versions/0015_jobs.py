"""Why a job went from one provider to another is noted; how long jobs of a model take has an index.

Needs no stop: processes of the version before note nothing. While the index is built writes wait: some
seconds for a million generations.
"""

from alembic import op

from adapters.database.functions import statements

revision = "0015"
down_revision = "0010"
# Of the functions that this migration installs.
FUNCTIONS_SHA256 = "1c72e0bf286cd831d5b9eef00b37a4c0f77a70cb69ec3fbce876ef584cacffc2"


def upgrade() -> None:
    _run(
        "CREATE INDEX generations_completed ON generations (model, finished_at) WHERE status = 'completed'",
        *statements(),
    )


def downgrade() -> None:
    """Leave the functions: no process of the version before calls them."""
    _run("DROP INDEX generations_completed")


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
