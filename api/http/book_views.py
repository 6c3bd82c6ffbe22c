"""Statements and usage as the API returns them."""

from api.http.schemas.books import (
    ClosingView,
    GrantedView,
    ModelChargeView,
    StatementLine,
    StatementView,
    TakenBackView,
    UsageLineView,
)
from domain.statements import MonthLine, Statement, UsageLine, next_month, start_of

_MONTH = "%Y-%m"


def serialize_month(line: MonthLine) -> StatementLine:
    return StatementLine(month=line.month.strftime(_MONTH), is_final=line.is_final)


def serialize_statement(statement: Statement) -> StatementView:
    parts = statement.parts
    return StatementView(
        month=statement.month.strftime(_MONTH),
        starts_at=start_of(statement.month),
        ends_at=start_of(next_month(statement.month)),
        is_final=statement.is_final,
        opening=statement.opening,
        granted=GrantedView(paid=statement.granted_paid, promotional=statement.granted_promotional),
        charged=statement.charged,
        charges=[
            ModelChargeView(
                model=charge.model,
                generations=charge.generations,
                images=charge.images,
                credits=charge.charged_credits,
            )
            for charge in statement.charges
        ],
        expired=statement.expired,
        voided=statement.voided,
        withdrawn=statement.withdrawn,
        taken_back=TakenBackView(credits=statement.taken_back, owed=statement.taken_back_owed),
        closing=ClosingView(
            credits=statement.closing, available=parts.available, held=parts.held, owed=parts.owed
        ),
        adds_up=statement.adds_up,
    )


def serialize_usage(line: UsageLine) -> UsageLineView:
    return UsageLineView(
        day=line.day,
        model=line.model,
        key_id=line.key_id or None,
        generations=line.generations,
        images=line.images,
        charged_credits=line.charged_credits,
    )
