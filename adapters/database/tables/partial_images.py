"""Which generations have partial images in the object store."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import moment_column, text_column


class PartialImagesRow(SQLModel, table=True):
    """A generation that was told to expect partial images. Its row goes once their objects are deleted."""

    __tablename__ = "partial_images"

    generation_id: str = Field(
        sa_column=text_column(ForeignKey("generations.id", ondelete="RESTRICT"), primary_key=True)
    )
    created_at: datetime = Field(default=None, sa_column=moment_column(nullable=False))
