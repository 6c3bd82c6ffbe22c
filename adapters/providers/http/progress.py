"""What a provider says of how far a job is, in bounds, whatever its form."""

import math
import re
from collections.abc import Iterator, Sequence

from domain.progress import ProviderProgress

_MAX_LINES, _MAX_LINE_CHARACTERS, _MAX_LOG_BYTES = 20, 200, 2_000
# Of a log, only its end is looked at, however long it is.
_MAX_TAIL_CHARACTERS = 20_000
_MAX_POSITION = 1_000_000
_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]{0,20}[ -/]{0,5}[@-~]")
# As Replicate's client reads it: " 45%|████▌     | 9/20 [00:03<00:03,  3.05it/s]"
_PROGRESS_BAR = re.compile(r"\s*([0-9]{1,3})%\s*\|.+?\|\s*[0-9]+/[0-9]+")


def progress_of(
    *,
    is_queued: bool = False,
    queue_position: object = None,
    percent: object = None,
    logs: Sequence[str] = (),
) -> ProviderProgress | None:
    """Return what is believable of what a provider says; None if nothing is. logs: from `log_lines`."""
    said = ProviderProgress(is_queued, _position(queue_position), _percent(percent), tuple(logs))
    return said if said != ProviderProgress() else None


def log_lines(log: object) -> tuple[str, ...]:
    """Return the last lines of a log: at most 20 and 2 kB, without control characters. Of no text, none."""
    if not isinstance(log, str):
        return ()
    kept: list[str] = []
    left = _MAX_LOG_BYTES
    for line in _clean_lines_backwards(log[-_MAX_TAIL_CHARACTERS:]):
        left -= len(line.encode())
        if left < 0 or len(kept) == _MAX_LINES:
            break
        kept.append(line)
    return tuple(reversed(kept))


def message_lines(entries: object, field: str) -> tuple[str, ...]:
    """Return the last lines of a log that is a list of objects with a text each."""
    if not isinstance(entries, list):
        return ()
    texts = [entry.get(field) for entry in entries[-_MAX_LINES:] if isinstance(entry, dict)]
    return log_lines("\n".join(text[-_MAX_TAIL_CHARACTERS:] for text in texts if isinstance(text, str)))


def progress_bar_percent(lines: Sequence[str]) -> int | None:
    """Return the percent of the last progress bar in a log; None if there is none."""
    bars = (_PROGRESS_BAR.match(line) for line in reversed(lines))
    return next((int(bar[1]) for bar in bars if bar), None)


def percent_of_share(value: object) -> object:
    """Return a share from 0 to 1 as a percentage. What is above 1 counts as one already."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return value * 100
    return value


def _clean_lines_backwards(text: str) -> Iterator[str]:
    for line in reversed(re.split(r"[\r\n]+", text)):
        plain = _ESCAPE_SEQUENCE.sub("", line).replace("\t", " ")
        # Neither control characters nor those that change the direction of what follows, nor lone surrogates.
        clean = "".join(character for character in plain if character.isprintable()).rstrip()
        if clean:
            yield clean[:_MAX_LINE_CHARACTERS]


def _position(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MAX_POSITION else None


def _percent(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return round(float(value), 1) if 0 <= value <= 100 and math.isfinite(value) else None
