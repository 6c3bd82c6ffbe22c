"""How far the books have been added up."""

from sqlmodel import Field, SQLModel

from adapters.database.tables.columns import count_column, text_column


class BookMarkRow(SQLModel, table=True):
    """The sum of the first entries of an account, or of a lot, which never change.

    Attributes:
        subject: The id of the account or lot.
        entry_id: Up to which entry was added; those of one subject are committed in the order of their ids.
        credits: Their sum: of an account its balance then, of a lot what remained.
        held_credits: Of a lot; 0 of an account.
    """

    __tablename__ = "book_marks"

    subject: str = Field(sa_column=text_column(primary_key=True))
    entry_id: int = Field(sa_column=count_column())
    credits: int = Field(sa_column=count_column())
    held_credits: int = Field(default=0, sa_column=count_column(0))
