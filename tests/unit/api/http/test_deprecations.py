"""What will go is declared, marked in the description, and said in the responses of an operation."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from api.http.deprecations import (
    DEPRECATIONS,
    MIN_NOTICE_DAYS,
    Deprecation,
    DeprecationMiddleware,
    Kind,
    mark,
)
from tests.support.description import described, operations
from tests.unit.api.client import client_of

POLICY = (Path(__file__).parents[4] / "docs" / "versioning.md").read_text()
SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)


def deprecated(kind: Kind, name: str) -> Deprecation:
    return Deprecation(kind, name, SINCE, UNTIL, "something else")


def test_each_has_its_row_in_the_policy_and_no_other() -> None:
    rows = re.findall(r"^\| (\w+) `([^`]+)` \| ([\d-]+) \| ([\d-]+) \| `([^`]+)` \|$", POLICY, re.MULTILINE)
    declared = [(each.kind, each.name, each.since, each.until, each.instead) for each in DEPRECATIONS]
    assert rows == [
        (kind, name, f"{a:%Y-%m-%d}", f"{b:%Y-%m-%d}", other) for kind, name, a, b, other in declared
    ]


def test_each_stays_for_as_long_as_the_policy_says() -> None:
    assert all((each.until - each.since).days >= MIN_NOTICE_DAYS for each in DEPRECATIONS)
    assert "at least a year" in POLICY


def test_each_is_still_there_and_marked() -> None:
    for each in DEPRECATIONS:
        copies = [
            response["headers"][each.name]
            for operation in operations()
            for response in operation.content["responses"].values()
            if each.name in response["headers"]
        ]
        assert copies
        assert all(copy["deprecated"] and each.text in copy["description"] for copy in copies)
    assert not described()["paths"]["/v1/generations"]["post"].get("deprecated")


def test_a_field_and_an_operation_are_marked() -> None:
    openapi: dict[str, Any] = {
        "paths": {"/old": {"get": {"operationId": "get_old", "responses": {}}}},
        "components": {"schemas": {"Lamp": {"properties": {"oil": {"type": "string"}}}}},
    }

    mark(openapi, [deprecated(Kind.OPERATION, "get_old"), deprecated(Kind.FIELD, "Lamp.oil")])

    for found in (
        openapi["paths"]["/old"]["get"],
        openapi["components"]["schemas"]["Lamp"]["properties"]["oil"],
    ):
        assert found["deprecated"]
        assert "2026-01-01" in found["description"]
        assert "2027-02-01" in found["description"]


async def test_an_operation_that_will_go_says_so_in_every_response() -> None:
    app = FastAPI()

    @app.get("/old")
    async def get_old(number: int) -> int:
        return number

    @app.get("/new")
    async def get_new() -> int:
        return 1

    app.add_middleware(DeprecationMiddleware, deprecations=[deprecated(Kind.OPERATION, "get_old")])
    async with client_of(app) as http:
        for answer in (await http.get("/old?number=1"), await http.get("/old?number=one")):
            assert answer.headers["deprecation"] == f"@{int(SINCE.timestamp())}"
            assert answer.headers["sunset"] == "Mon, 01 Feb 2027 00:00:00 GMT"
        kept = await http.get("/new")
        assert not {"deprecation", "sunset"} & kept.headers.keys()
