"""Replicate's errors: problem documents, but for the one about throttling."""

from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from simulator.faults import Fault
from simulator.wire import answer, dump


class Refused(Exception):
    """The request is turned away with a problem."""

    def __init__(self, status: int, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"title": title, "detail": detail, "status": status, **more}
        self.headers: dict[str, str] = {}

    def response(self) -> Response:
        return Response(dump(self.body), self.status, self.headers, media_type="application/problem+json")


class Throttled(Refused):
    """429, which is not worded as a problem."""

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(429, "", "")
        seconds = f"{retry_after_seconds:g}"
        self.body = {"detail": f"Request was throttled. Your rate limit resets in ~{seconds}s."}
        self.headers = {"Retry-After": seconds}

    def response(self) -> Response:
        return answer(self.body, self.status, self.headers)


def unauthenticated() -> Refused:
    return Refused(401, "Unauthenticated", "You did not pass a valid authentication token")


def not_found() -> Refused:
    return Refused(404, "Not found", "The requested resource could not be found.")


def invalid_input(field: str, description: str, kind: str = "invalid") -> Refused:
    fields = [{"type": kind, "field": field, "description": description}]
    return Refused(422, "Input validation failed", f"- {field}: {description}\n", invalid_fields=fields)


def invalid_fields(error: ValidationError) -> Refused:
    """pydantic's errors, in Replicate's words."""
    fields = [_field(str(item["loc"][-1]) if item["loc"] else "", item) for item in error.errors()]
    detail = "".join(f"- {field['field']}: {field['description']}\n" for field in fields)
    return Refused(422, "Input validation failed", detail, invalid_fields=fields)


def by_fault(fault: Fault) -> Refused:
    """What a fault at the door says."""
    if fault.name == "submit_429":
        return Throttled(fault.number("retry_after"))
    if fault.name == "reject":
        return invalid_input("input", "the request was refused")
    status, title, detail = {
        "submit_402": (402, "Insufficient credit", "You have insufficient credit to run this model."),
        "submit_500": (500, "Internal server error", "An unexpected error occurred."),
        "submit_503": (503, "Service unavailable", "The service is temporarily unavailable."),
    }[fault.name]
    return Refused(status, title, detail)


def _field(name: str, item: Any) -> dict[str, str]:
    if item["type"] == "missing":
        return {"type": "required", "field": "input", "description": f"{name} is required"}
    return {"type": item["type"], "field": f"input.{name}", "description": item["msg"]}
