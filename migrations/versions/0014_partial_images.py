"""Which generations have partial images in the object store, so that none is left behind.

Needs no stop: processes of the version before neither write the table nor read it.
"""

from alembic import op

revision = "0014"
down_revision = "0013"

TABLE = """
CREATE TABLE partial_images (
    generation_id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (generation_id),
    FOREIGN KEY (generation_id) REFERENCES generations (id) ON DELETE RESTRICT
)
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(TABLE)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP TABLE partial_images")
