"""Credits in lots: the functions that hold, charge and return them, and one lot for what each tenant has.

Needs no stop: processes of the version before call the same functions by the same names.
"""

from alembic import op

from adapters.database.functions import statements

revision = "0016"
down_revision = "0015"
# Of the functions that this migration installs.
FUNCTIONS_SHA256 = ""


def upgrade() -> None:
    _run(*statements())


def downgrade() -> None:
    pass


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
