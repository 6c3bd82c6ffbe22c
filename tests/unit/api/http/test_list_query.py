"""The query of a list is read as it was meant, or refused with the name of what is wrong."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import pytest
from fastapi import Depends, FastAPI
from httpx import ASGITransport, AsyncClient, Response

from api.http import problems
from api.http.list_query import MAX_METADATA_FILTERS, ListQuery, read_list_query
from domain.generation import Status
from domain.listing import GenerationFilter, ListOrder


async def sent(query: str) -> tuple[Response, list[ListQuery]]:
    """Send a query; return the response and how it was read."""
    app = FastAPI()
    problems.install(app)
    seen: list[ListQuery] = []

    @app.get("/")
    async def route(query: Annotated[ListQuery, Depends(read_list_query)]) -> None:
        seen.append(query)

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        return await client.get(f"/?{query}"), seen


def moment(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]  # the parts of a moment


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", GenerationFilter()),
        ("limit=5&cursor=abc", GenerationFilter()),
        ("status=failed&model=a+b&provider=fal", GenerationFilter(Status.FAILED, "a b", "fal")),
        ("q=a%20fox", GenerationFilter(q="a fox")),
        ("q=", GenerationFilter(q="")),
        ("metadata.user=42", GenerationFilter(metadata={"user": "42"})),
        ("metadata.a.b=c&metadata.d=", GenerationFilter(metadata={"a.b": "c", "d": ""})),
        ("metadata.=x", GenerationFilter(metadata={"": "x"})),
        ("metadata.a%20%26%3D%25b=%C3%A9", GenerationFilter(metadata={"a &=%b": "\u00e9"})),
        ("metadata.User=42&metadata.user=43", GenerationFilter(metadata={"User": "42", "user": "43"})),
    ],
)
async def test_filters_are_read(query: str, wanted: GenerationFilter) -> None:
    response, seen = await sent(query)
    assert response.status_code == 200, response.text
    assert seen == [ListQuery(wanted, ListOrder.NEWEST)]


@pytest.mark.parametrize("order", ListOrder)
async def test_orders_are_read(order: ListOrder) -> None:
    _, seen = await sent(urlencode({"sort": order.value}))
    assert [query.order for query in seen] == [order]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-15T12:30:00Z", moment(2026, 1, 15, 12, 30)),
        ("2026-01-15t12:30:00z", moment(2026, 1, 15, 12, 30)),
        ("2026-01-15T12:30:00.5+02:00", moment(2026, 1, 15, 10, 30, 0, 500_000)),
        ("2026-01-15T12:30:00.123456789-00:30", moment(2026, 1, 15, 13, 0, 0, 123_456)),
        ("2016-12-31T23:59:60Z", moment(2016, 12, 31, 23, 59, 59)),
        ("0001-01-01T00:00:00+23:59", moment(2000, 1, 1)),
        ("9999-12-31T23:59:59.999999-23:59", moment(9999, 1, 1)),
    ],
)
async def test_times_are_read(written: str, meant: datetime) -> None:
    for name in ("created_after", "created_before"):
        _, seen = await sent(urlencode({name: written}))
        assert [getattr(query.wanted, name) for query in seen] == [meant]


MANY = "&".join(f"metadata.k{number}=v" for number in range(MAX_METADATA_FILTERS + 1))
REFUSED = [
    ("status=done", "status", "created"),
    ("sort=name", "sort", "-created_at"),
    ("sort=", "sort", "-created_at"),
    (f"model={'m' * 101}", "model", "100"),
    ("model=%00", "model", "NUL"),
    (f"provider={'p' * 101}", "provider", "100"),
    (f"q={'q' * 201}", "q", "200"),
    ("q=a%00b", "q", "NUL"),
    ("metadata.a=%00", "metadata", "NUL"),
    (f"metadata.a={'v' * 500}", "metadata", "500"),
    (MANY, "metadata", str(MAX_METADATA_FILTERS)),
    ("metadata.a=1&metadata.a=2", "metadata.a", "once"),
    ("model=a&model=b", "model", "once"),
    ("created_after=yesterday", "created_after", "2026-01-15T12:30:00Z"),
    ("created_after=2026-01-15", "created_after", "2026-01-15T12:30:00Z"),
    ("created_before=2026-01-15T12:30:00", "created_before", "2026-01-15T12:30:00Z"),
    ("created_before=2026-01-15T12:30:00+01:00", "created_before", "%2B"),
    ("created_before=2026-13-15T12:30:00Z", "created_before", "2026-01-15T12:30:00Z"),
    ("created_before=1768480200", "created_before", "2026-01-15T12:30:00Z"),
    ("created_before=", "created_before", "2026-01-15T12:30:00Z"),
    ("modle=a", "modle", "model"),
    ("metadata[a]=b", "metadata[a]", "metadata.KEY"),
    ("%C3%A9=b", "\\xe9", "model"),
]


@pytest.mark.parametrize(("query", "field", "limit"), REFUSED, ids=range(len(REFUSED)))
async def test_what_is_wrong_is_named_with_its_limit(query: str, field: str, limit: str) -> None:
    response, seen = await sent(query)
    body = response.json()
    assert (response.status_code, body["code"], seen) == (422, "invalid_input", [])
    [error] = body["errors"]
    assert error["field"] == field
    assert limit in error["message"]


async def test_nothing_that_was_sent_is_echoed() -> None:
    secret = "dk_0123456789abcdef_sentinel"  # noqa: S105 - not a secret
    names = ("status", "sort", "created_after", "created_before")
    for query in [urlencode({name: secret}) for name in names]:
        response, _ = await sent(query)
        assert response.status_code == 422
        assert secret not in response.text


async def test_one_answer_names_no_more_than_50_unknown_names() -> None:
    response, _ = await sent("&".join(f"x{number}=1" for number in range(1000)))
    body: dict[str, Any] = response.json()
    assert len(body["errors"]) == 50
    assert len(response.text) < 20_000
