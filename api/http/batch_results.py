"""Results of a batch as JSON Lines, in the form that OpenAI writes them in."""

import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from api.http.openai_errors import error_body
from api.http.openai_responses import images_json
from api.http.problems import status_of
from api.http.serializers import GenerationSerializer
from domain.batch_lines import Endpoint
from domain.batches import BATCH_PREFIX, Batch, BatchItem, ItemStatus
from domain.errors import GenerationCanceled, ImageErased, ServiceError, describe
from domain.generation import Generation, Status

MEDIA_TYPE = "application/jsonl"
# As an id of a file, which no file has: of which lines it is, and the id of the batch without its prefix.
_RESULTS_FILE = re.compile(r"file_(output|errors)([0-9a-f]{32})")
_ENDED = (ItemStatus.COMPLETED, ItemStatus.FAILED, ItemStatus.CANCELED)


class ResultKind(StrEnum):
    """Which items a file of results is of."""

    OUTPUT = "output"
    ERRORS = "errors"

    def has(self, item: BatchItem) -> bool:
        return (item.status is ItemStatus.COMPLETED) == (self is ResultKind.OUTPUT)

    def file_of(self, batch: Batch) -> str | None:
        """Return the id of its file, once the batch has ended with such items."""
        counts = batch.counts
        items = counts.completed if self is ResultKind.OUTPUT else counts.failed + counts.canceled
        is_there = batch.status.is_terminal and items > 0
        return f"file_{self}{batch.id.removeprefix(BATCH_PREFIX)}" if is_there else None


def read_results_file(file_id: str) -> tuple[str, ResultKind] | None:
    """Return the id of the batch, and of which of its items the file is; None for a file that is stored."""
    found = _RESULTS_FILE.fullmatch(file_id)
    return None if found is None else (f"{BATCH_PREFIX}{found[2]}", ResultKind(found[1]))


def result_line(serializer: GenerationSerializer, batch: Batch, item: BatchItem) -> str | None:
    """Return the line of an item, with its end; None while it is open."""
    if item.status not in _ENDED:
        return None
    line: dict[str, Any] = {"id": f"{batch.id}_{item.index}", "custom_id": item.custom_id}
    generation = item.generation
    if generation is None:
        code = item.error_code or GenerationCanceled.code
        line |= {
            "response": None,
            "error": {"code": code, "message": item.error_text or describe(code).message},
        }
    else:
        found = _refusal(generation)
        status = HTTPStatus.OK if found is None else status_of(found)
        if batch.endpoint in (Endpoint.OPENAI_GENERATIONS, Endpoint.OPENAI_EDITS):
            status, body = _openai_body(serializer, generation, found)
        else:
            body = serializer.serialize(generation).model_dump(mode="json")
        line["response"] = {"status_code": int(status), "request_id": generation.id, "body": body}
        line["error"] = None if found is None else {"code": found.code, "message": found.message}
    return json.dumps(line, ensure_ascii=False) + "\n"


def _refusal(generation: Generation) -> type[ServiceError] | None:
    """Return why the job has no images, or has them no more."""
    if generation.status is not Status.COMPLETED:
        return describe(generation.error.code if generation.error is not None else GenerationCanceled.code)
    return None if generation.has_images_at(datetime.now(UTC)) else ImageErased


def _openai_body(
    serializer: GenerationSerializer, generation: Generation, found: type[ServiceError] | None
) -> tuple[HTTPStatus, dict[str, Any]]:
    if found is not None:
        status, body = error_body({}, status_of(found), found.code, found.message)
        return HTTPStatus(status), body
    urls = [image.url for image in serializer.serialize(generation).images]
    body = json.loads("".join(str(part) for part in images_json(generation, urls)))
    return HTTPStatus.OK, body
