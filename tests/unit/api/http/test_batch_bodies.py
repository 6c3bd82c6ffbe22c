"""The body of a new batch: what of it is read, what is refused, and how long it holds up others."""

import asyncio
import json
import time
from typing import Any

import pytest
from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import strategies as st

from api.http.batch_bodies import _parsed, read_batch
from domain.batch_items import FILE_IDS_ONLY
from domain.errors import InvalidInput
from tests.support.time_limits import scaled

ITEM = {"model": "flux-schnell", "prompt": "a boat"}


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def errors_of(content: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as caught:
        read_batch(content)
    return list(caught.value.errors)


def test_items_are_read_in_their_order() -> None:
    items = [ITEM | {"custom_id": f"c{n}", "n": n + 1, "priority": "low"} for n in range(3)]
    command = read_batch(body(items=items, concurrency=3, max_cost=9, metadata={"a": "b"}))

    assert [item.custom_id for item in command.items] == ["c0", "c1", "c2"]
    assert [item.index for item in command.items] == [0, 1, 2]
    assert command.items[2].request.parameters == {"prompt": "a boat", "n": 3}
    assert (command.concurrency, command.max_cost, command.metadata) == (3, 9, {"a": "b"})
    assert (command.endpoint, command.input_file_id) == (None, None)


def test_a_file_is_named_with_what_its_lines_call() -> None:
    command = read_batch(body(input_file_id="file_1", completion_window="24h"))
    openai = read_batch(body(input_file_id="file_1", endpoint="/v1/images/edits"))

    assert (command.input_file_id, command.endpoint) == ("file_1", "/v1/generations")
    assert openai.endpoint == "/v1/images/edits"


def test_the_digest_is_of_the_meaning() -> None:
    one = read_batch(body(items=[ITEM], metadata=None))
    same = read_batch(b' { "items" : [ {"prompt":"a boat","model":"flux-schnell","n":null} ] } ')
    others = [
        read_batch(body(items=[ITEM | {"custom_id": "a"}])),
        read_batch(body(items=[ITEM, ITEM])),
        read_batch(body(items=[ITEM], concurrency=1)),
        read_batch(body(input_file_id="file_1")),
    ]

    assert one.digest == same.digest
    assert len({one.digest, *(each.digest for each in others)}) == 5


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, ["items"]),
        ({"items": [ITEM], "input_file_id": "file_1"}, ["items"]),
        ({"items": [ITEM], "endpoint": "/v1/generations"}, ["endpoint"]),
        ({"items": [ITEM] * 1001}, ["items"]),
        ({"items": [ITEM], "metadata": {"a": "x" * 500}}, ["metadata"]),
        ({"items": [ITEM, 1, None]}, ["items.1", "items.2"]),
        ({"items": [ITEM, {"model": "x"}]}, ["items.1.prompt"]),
        ({"items": [ITEM | {"custom_id": "a"}, ITEM | {"custom_id": "a"}]}, ["items.1.custom_id"]),
        ({"items": [ITEM | {"idempotency_key": "a"}] * 2}, ["items.1.idempotency_key"]),
        ({"items": [ITEM | {"idempotency_key": " "}]}, ["items.0.idempotency_key"]),
        ({"items": [ITEM | {"custom_id": "x" * 201}]}, ["items.0.custom_id"]),
        ({"items": [ITEM | {"extra": 1, "n": "1"}]}, ["items.0.n", "items.0.extra"]),
        ({"items": [{**ITEM, **{str(n): 1 for n in range(60)}}]}, ["items.0"]),
        ({"items": [ITEM | {"inputs": ["https://example.com/a.png"]}]}, ["items.0.inputs.0"]),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], named: list[str]) -> None:
    assert [name for name, _ in errors_of(body(**fields))] == named


def test_an_address_says_that_a_batch_takes_files() -> None:
    [(_, limit)] = errors_of(body(items=[ITEM | {"mask": "data:image/png;base64,AA=="}]))
    assert limit == FILE_IDS_ONLY


def test_the_first_hundred_errors_are_named() -> None:
    errors = errors_of(body(items=[{"model": "x"}] * 1000))
    assert [name for name, _ in errors] == [f"items.{n}.prompt" for n in range(100)]


@pytest.mark.parametrize("long", ["x" * 300_000, [[]] * 500_000])
def test_a_value_is_parsed_only_up_to_a_length(long: object) -> None:
    limit = "at most 262144 characters of JSON"
    assert errors_of(body(items=[ITEM, long])) == [("items.1", limit)]
    assert errors_of(body(other=long)) == [("body", limit)]


@pytest.mark.parametrize(
    "fields",
    [
        {"items": []},
        {"items": {}},
        {"items": [ITEM], "concurrency": 0},
        {"items": [ITEM], "max_cost": -1},
        {"items": [ITEM], "completion_window": "1h"},
        {"items": [ITEM], "output_expires_after": {}},
        {"input_file_id": "https://example.com"},
        {"input_file_id": "file_1", "endpoint": "/v1/embeddings"},
        {"items": [ITEM], "metadata": {str(n): "" for n in range(17)}},
    ],
)
def test_the_fields_around_the_items_have_a_schema(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestValidationError):
        read_batch(body(**fields))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"1", b'{"items":[1,]}', b'{"items":[,]}', b'{"a":1,}', b'{"a"}', b"{} {}", b"\xff",
        b'{"items":[1 2]}', b'{"items":[', b"{" + b'"items":' + b"[" * 100_000, b'{1:2}', b'{"items":[1}',
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(HTTPException) as caught:
        read_batch(content)
    assert caught.value.status_code == 400


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    value=st.dictionaries(st.text() | st.just("items"), _JSON | st.lists(_JSON, max_size=5), max_size=5),
    indent=st.sampled_from([None, 1]),
)
def test_it_is_parsed_as_the_parser_does(value: dict[str, Any], indent: int | None) -> None:
    assert _parsed(json.dumps(value, indent=indent).encode()) == value


@given(content=st.binary(max_size=60) | st.text('{}[],:" items1', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        expected = json.loads(content)
    except (ValueError, RecursionError):
        expected = None
    try:
        found = _parsed(content)
    except (ValueError, RecursionError):
        assert not isinstance(expected, dict)
    else:
        assert found == expected


async def test_a_thousand_items_do_not_hold_up_the_loop() -> None:
    """The loop runs in between: a parser that took all at once would let it run a few times."""
    content = body(items=[ITEM | {"custom_id": str(n), "prompt": "a boat, red " * 1000} for n in range(1000)])
    pauses: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            pauses.append(time.perf_counter() - before)

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(scaled(60)):
        command = await asyncio.to_thread(read_batch, content)
    watching.cancel()

    assert len(command.items) == 1000
    assert len(pauses) > 20
