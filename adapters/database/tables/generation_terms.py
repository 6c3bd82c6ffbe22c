"""What generations are found and sorted by. The first is apart from their rows, which are often updated."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Index, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel, col

from adapters.database.tables.columns import text_column
from adapters.database.tables.generations import GenerationRow


class GenerationTermsRow(SQLModel, table=True):
    """The model, provider, words and metadata of a generation that its client has not deleted.

    A trigger writes it and keeps it: functions/listing.sql. No foreign key: it would be checked on the way of
    every request, and no generation's row is ever deleted.

    Attributes:
        terms: Hashes of the tenant with a word, or with a key and a value of the metadata.
    """

    __tablename__ = "generation_terms"
    __table_args__ = (
        Index(
            "generation_terms_by_model",
            "tenant_id",
            "model",
            text("created_at DESC"),
            text("generation_id DESC"),
        ),
        Index(
            "generation_terms_by_provider",
            "tenant_id",
            "provider",
            text("created_at DESC"),
            text("generation_id DESC"),
        ),
        # What was inserted last is read as a whole by each search, so that list is short.
        Index(
            "generation_terms_found",
            "terms",
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 128},
        ),
    )

    generation_id: str = Field(sa_column=text_column(primary_key=True))
    tenant_id: str = Field(sa_column=text_column())
    model: str = Field(sa_column=text_column())
    provider: str = Field(sa_column=text_column())
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    terms: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))


# Those that are open have no duration and no cost yet.
_ENDED_AND_LISTED = text("finished_at IS NOT NULL AND deleted_at IS NULL")
Index(
    "generations_by_duration",
    col(GenerationRow.tenant_id),
    text("(finished_at - created_at)"),
    col(GenerationRow.id),
    postgresql_where=_ENDED_AND_LISTED,
)
Index(
    "generations_by_cost",
    col(GenerationRow.tenant_id),
    col(GenerationRow.charged_credits),
    col(GenerationRow.id),
    postgresql_where=_ENDED_AND_LISTED,
)
