"""The statement in docs/credits.md is the one of the examples, and it adds up."""

import re
from datetime import date
from pathlib import Path

from api.http.book_views import serialize_statement
from api.http.credit_examples import STATEMENT
from domain.credits import TransferKind
from domain.lots import LotStatus
from domain.statement_csv import statement_csv
from domain.statements import ModelCharge, Parts, Statement

GUIDE = (Path(__file__).parents[4] / "docs/credits.md").read_text()
SHOWN = Statement(
    month=date(2025, 10, 1),
    is_final=True,
    opening=120,
    granted_paid=1000,
    granted_promotional=50,
    charges=(ModelCharge("flux-dev", 30, 40, 160), ModelCharge("flux-schnell", 12, 30, 30)),
    expired=20,
    voided=0,
    withdrawn=0,
    taken_back=400,
    taken_back_owed=25,
    parts=Parts(available=565, held=20, owed=25),
    spent=190,
)


def test_the_statement_of_the_guide_adds_up() -> None:
    [block] = re.findall(r"^```csv\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert block == statement_csv(SHOWN).replace("\r\n", "\n")
    assert SHOWN.adds_up


def test_the_sums_that_the_guide_spells_out_are_right() -> None:
    guide = GUIDE.replace("\N{MINUS SIGN}", "-")
    sums = re.findall(r"(\d[\d +-]*\d) = (\d+)[.:]", guide)
    assert len(sums) == 2
    for terms, total in sums:
        signed = re.findall(r"[+-]?\d+", terms.replace(" ", ""))
        assert sum(map(int, signed)) == int(total) == SHOWN.closing


def test_the_example_of_the_api_is_the_same_month() -> None:
    assert serialize_statement(SHOWN).model_dump(mode="json") == STATEMENT


def test_every_kind_and_status_is_in_the_guide() -> None:
    for word in (*TransferKind, *LotStatus):
        assert f"`{word}`" in GUIDE
