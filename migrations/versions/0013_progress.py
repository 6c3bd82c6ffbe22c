"""What polls find of how far a job is.

Needs no stop: a process of the version before records none.
"""

from alembic import op

from adapters.database.functions import statements

revision = "0013"
down_revision = "0008"
# Of the functions that this migration installs.
FUNCTIONS_SHA256 = "9db1482ddbfc2747c00e100e276e8d8c502e1085d44aa1a4ef628e4afeace070"


def upgrade() -> None:
    for statement in statements():
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Leave the function: no process of the version before calls it."""
