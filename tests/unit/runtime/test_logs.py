"""What a log line holds, as text and as JSON."""

import io
import json
import logging

import pytest
import structlog

from runtime.logs import LogFormat, configure_logging, fields

FORGED = 'no\n2026-01-15 12:00:00 INFO darkroom forged\r\x1b[2J\u2028"end'


def fail() -> None:
    raise ValueError(FORGED)


def logged(monkeypatch: pytest.MonkeyPatch, log_format: LogFormat) -> list[str]:
    """Log a record with fields, one with a traceback, and two that are left out; return the lines."""
    root, stream = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    configure_logging("INFO", log_format, stream)
    log = logging.getLogger("darkroom.test")
    with structlog.contextvars.bound_contextvars(request_id="req_1", tenant_id="ten_1"):
        log.info("the provider says: %s", FORGED, extra=fields(status=200, route="/v1/x"))
    try:
        fail()
    except ValueError:
        log.exception("failed")
    log.debug("nothing")
    logging.getLogger("httpx").info("GET https://fal.media/a?secret")
    return stream.getvalue().splitlines()


def logged_once(monkeypatch: pytest.MonkeyPatch, message: str, **values: object) -> str:
    root, stream = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    configure_logging("INFO", "text", stream)
    logging.getLogger("darkroom.test").info(message, extra=fields(**values))
    return stream.getvalue().rstrip("\n")


def test_json_is_one_object_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (json.loads(line) for line in logged(monkeypatch, "json"))
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": f"the provider says: {FORGED}",
        "level": "info",
        "logger": "darkroom.test",
        "request_id": "req_1",
        "tenant_id": "ten_1",
        "status": 200,
        "route": "/v1/x",
    }
    assert (second["event"], second["level"]) == ("failed", "error")
    assert "ValueError" in second["exception"]
    assert "request_id" not in second


def test_text_has_the_fields_behind_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = logged(monkeypatch, "text")
    records = [line for line in lines if line.startswith("20")]
    assert len(records) == 2
    assert ' INFO darkroom.test "the provider says: no\\n2026' in records[0]
    assert records[0].endswith(" request_id=req_1 route=/v1/x status=200 tenant_id=ten_1")
    assert records[1].endswith(" ERROR darkroom.test failed")
    assert "\x1b" not in records[0]
    assert all(line.startswith("    ") for line in lines if line not in records)
    assert any("ValueError" in line for line in lines)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("x status=200 tenant_id=ten_victim", '"x status=200 tenant_id=ten_victim"'),
        ("status=200", '"status=200"'),
        ('"quoted"', r'"\"quoted\""'),
        ('\\" status=200', r'"\\\" status=200"'),
        ("two\u2003words", '"two\u2003words"'),
        ("two\nlines", r'"two\nlines"'),
        ("", '""'),
        ("gen_1", "gen_1"),
        (0.5, "0.5"),
    ],
)
def test_a_value_of_others_is_no_field_of_ours(
    monkeypatch: pytest.MonkeyPatch, value: object, written: str
) -> None:
    record = logged_once(monkeypatch, "request", model_id=value, status=404)
    assert record.endswith(f" INFO darkroom.test request model_id={written} status=404")


@pytest.mark.parametrize(
    ("message", "written"),
    [
        ("the provider says: status=200", '"the provider says: status=200"'),
        ('it says "no"', r'"it says \"no\""'),
        ("it says no", "it says no"),
    ],
)
def test_a_message_of_others_is_no_field_of_ours(
    monkeypatch: pytest.MonkeyPatch, message: str, written: str
) -> None:
    assert logged_once(monkeypatch, message, status=404).endswith(f" darkroom.test {written} status=404")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_addresses_that_libraries_ask_for_are_not_logged(
    monkeypatch: pytest.MonkeyPatch, log_format: LogFormat
) -> None:
    assert "secret" not in "".join(logged(monkeypatch, log_format))
