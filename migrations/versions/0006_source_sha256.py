"""The digest of a provider's bytes, which are no longer always those that are served.

Needs no stop: processes of the version before leave it empty.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

UPGRADE = """
ALTER TABLE images ADD COLUMN source_sha256 TEXT;
ALTER TABLE images ADD CONSTRAINT images_source CHECK (length(source_sha256) = 64)
"""


def upgrade() -> None:
    _run(*UPGRADE.split(";"))


def downgrade() -> None:
    _run("ALTER TABLE images DROP COLUMN source_sha256")


def _run(*statements: str) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)
