"""The SQL in docs/operations.md runs on the current tables."""

import re
from pathlib import Path

import pytest

from tests.support.books import PostgresBooks

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
STATEMENTS = re.findall(r"^    (?:SELECT|UPDATE)\b.+?;$", OPERATIONS, re.MULTILINE | re.DOTALL)


def test_there_are_statements() -> None:
    assert len(STATEMENTS) >= 4


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_a_statement_can_be_run(books: PostgresBooks, statement: str) -> None:
    assert await books.sql(f"EXPLAIN {statement.strip().rstrip(';')}")
