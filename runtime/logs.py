"""How every process logs: a record a line, as text or as JSON, with the fields of the request at hand.

Records are those of the standard library. What a record is about comes from `extra=fields(…)`, and from the
context variables that structlog keeps for the request or task at hand.
"""

import logging
import re
import sys
from collections.abc import Mapping
from textwrap import indent
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

LogFormat = Literal["text", "json"]

_FIELDS = "fields"
# Everything that ends a line or moves a terminal's cursor.
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_ESCAPES = {code: chr(code).encode("unicode_escape").decode() for code in _CONTROLS}
_PLAIN_VALUE, _PLAIN_MESSAGE = re.compile(r'[^\s="]+'), re.compile(r'[^="]*')
# They log whole addresses, which hold secrets.
_NOISY = ("httpx", "httpcore", "urllib3")


def configure_logging(level: str, log_format: LogFormat = "text", stream: TextIO | None = None) -> None:
    """Log to standard error. Of libraries that log whole addresses, only warnings."""
    handler = logging.StreamHandler(stream or sys.stderr)
    renderer: list[Processor] = [_render_text]
    if log_format == "json":
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                _add_fields,
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(level=level, handlers=[handler])
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def fields(**values: Any) -> Mapping[str, Any]:
    """Return `extra` for a record: fields of its own, which must hold no secret."""
    return {_FIELDS: values}


def _add_fields(_: Any, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    event.update(getattr(record, _FIELDS, {}))
    return event


def _render_text(_: Any, __: str, event: EventDict) -> str:
    """Return `time LEVEL logger message name=value …`, and a traceback indented below it.

    What others wrote, such as a provider's message or an id in a path, cannot look like a record of ours or
    like another field of it: it is in quotes if it has an equals sign or a quote, a value also with a space.
    """
    exception = event.pop("exc_info", None)
    message = _quoted(event.pop("event"), _PLAIN_MESSAGE)
    head = f"{event.pop('timestamp')} {event.pop('level').upper()} {event.pop('logger')} {message}"
    rest = "".join(
        f" {name}={_quoted(value, _PLAIN_VALUE)}"
        for name, value in sorted(event.items())
        if not name.startswith("_")
    )
    line = (head + rest).translate(_ESCAPES)
    if not exception:
        return line
    traceback = structlog.processors.format_exc_info(None, "", {"exc_info": exception})["exception"]
    return f"{line}\n{indent(traceback, '    ', predicate=lambda _: True)}"


def _quoted(value: Any, plain: re.Pattern[str]) -> str:
    text = str(value)
    if plain.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
