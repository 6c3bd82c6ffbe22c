"""Input files are images or the lines of a batch, which have no width and no height.

Needs no stop: processes of the version before go on with images, and find no other file useful.
"""

from alembic import op

revision = "0018"
down_revision = "0017"

ADD = """
ALTER TABLE input_files ADD COLUMN purpose TEXT DEFAULT 'image' NOT NULL,
    DROP CONSTRAINT input_files_facts,
    ADD CONSTRAINT input_files_facts CHECK (size_bytes > 0 AND length(sha256) = 64),
    ADD CONSTRAINT input_files_purpose CHECK (
        purpose = 'image' AND width > 0 AND height > 0 OR purpose = 'batch' AND width = 0 AND height = 0
    )
"""
# What no version before can read is left to expire, without its record.
REMOVE = """
DELETE FROM input_files WHERE purpose <> 'image';
ALTER TABLE input_files DROP CONSTRAINT input_files_purpose, DROP CONSTRAINT input_files_facts,
    ADD CONSTRAINT input_files_facts CHECK (
        width > 0 AND height > 0 AND size_bytes > 0 AND length(sha256) = 64
    ),
    DROP COLUMN purpose
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(ADD)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(REMOVE)
