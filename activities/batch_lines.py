"""Reads the lines of a batch's file, some at a time, and remembers what is wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from domain.batch_lines import MAX_LINE_BYTES, ItemNames
from domain.batches import MAX_FILE_ITEMS, MAX_LINE_ERRORS, BatchItemDraft, LineError, LineParser
from domain.errors import InvalidInput
from domain.webhook_urls import CANNOT_SIGN


@dataclass
class FileLines:
    """A file as far as it was read.

    Attributes:
        signs_webhooks: Whether an item may have a webhook.
        price_credits: Of the items so far.
        errors: The first of them; there are `error_count`.
    """

    file: BinaryIO
    endpoint: str
    parse: LineParser
    signs_webhooks: bool = True
    number: int = 0
    is_over: bool = False
    price_credits: int = 0
    error_count: int = 0
    errors: list[LineError] = field(default_factory=list)
    _names: ItemNames = field(default_factory=ItemNames)

    def next_items(self, limit: int) -> Sequence[BatchItemDraft]:
        """Read so many lines; return those that are items."""
        items = []
        for _ in range(limit):
            line = self._next_line()
            if line is None:
                break
            if (item := self._item_of(line)) is not None:
                items.append(item)
        return items

    def _next_line(self) -> bytes | None:
        line = self.file.readline(MAX_LINE_BYTES + 2)
        if not line or self.number == MAX_FILE_ITEMS:
            self.is_over = True
            if self.number == 0:
                self._note(LineError(1, InvalidInput.code, "", "at least one line"))
            elif line:
                text = f"at most {MAX_FILE_ITEMS} lines"
                self._note(LineError(self.number + 1, InvalidInput.code, "", text))
            return None
        self.number += 1
        rest = line
        while len(line) > MAX_LINE_BYTES and rest and not rest.endswith(b"\n"):
            rest = self.file.readline(MAX_LINE_BYTES)
        return line.rstrip(b"\r\n")

    def _item_of(self, line: bytes) -> BatchItemDraft | None:
        limit = f"at most {MAX_LINE_BYTES} bytes"
        if len(line) <= MAX_LINE_BYTES:
            limit = "UTF-8"
            try:
                return self._checked(self.parse(line.decode(), self.number, self.endpoint))
            except UnicodeDecodeError:
                pass
        self._note(LineError(self.number, InvalidInput.code, "", limit))
        return None

    def _checked(self, found: BatchItemDraft | Sequence[LineError]) -> BatchItemDraft | None:
        if not isinstance(found, BatchItemDraft):
            self._note(*found)
            return None
        if found.request.controls.webhook_url is not None and not self.signs_webhooks:
            self._note(LineError(self.number, InvalidInput.code, "body.webhook_url", CANNOT_SIGN))
            return None
        repeated = self._names.repeats(found)
        self._note(
            *(
                LineError(self.number, InvalidInput.code, name, f"the same as in line {index + 1}")
                for name, index in repeated
            )
        )
        self.price_credits += found.price_credits
        return found if not repeated else None

    def _note(self, *errors: LineError) -> None:
        self.error_count += len(errors)
        self.errors += errors[: MAX_LINE_ERRORS - len(self.errors)]
