"""Errors."""

from pydantic import BaseModel


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details, with a stable `code` of docs/errors.md.

    Attributes:
        retryable: Whether the same request may be sent again; `X-Should-Retry` says the same.
        charged: Whether anything was charged for the request; null if that is not known yet.
        stage: Where that job is; `request` if there is none, or it is not known.
        generation_id: Of the job that the answer is about, where there is, or may be, one.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldProblem] = []
    retryable: bool
    charged: bool | None = False
    stage: str = "request"
    generation_id: str | None = None
