"""Input files say what they are for: images, or the lines of a batch.

Needs no stop: processes of the version before go on with images, and store nothing else.
"""

from alembic import op

revision = "0018"
down_revision = "0017"

ADD = """
ALTER TABLE input_files ADD COLUMN purpose TEXT DEFAULT 'image' NOT NULL,
    ADD CONSTRAINT input_files_purpose CHECK (
        purpose = CASE content_type WHEN 'application/jsonl' THEN 'batch' ELSE 'image' END
    )
"""
REMOVE = "ALTER TABLE input_files DROP CONSTRAINT input_files_purpose, DROP COLUMN purpose"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(ADD)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(REMOVE)
