"""What polls find of how far a job is.

Needs no stop: a process of the version before records none.
"""

from alembic import op

from adapters.database.functions import statements

revision = "0013"
down_revision = "0010"
# Of the functions that this migration installs.
FUNCTIONS_SHA256 = "3cfbe11965fce018d5aad239681761af5bea3c117f5997ca832d5056b0dcb438"


def upgrade() -> None:
    for statement in statements():
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Leave the function: no process of the version before calls it."""
