"""Asking a provider that answers with the images themselves, after minutes and with many megabytes.

The answer goes to a file while it arrives. Parsing and decoding happen afterwards, on the few threads that
the spool is given, so no more bodies are in memory than there are threads, however many calls wait.
Every adapter of such a provider goes through here, so that what is ambiguous is decided once: from the first
byte sent until a whole answer is read, the provider may have made the images and charged for them.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from adapters.providers.answers import is_token, retry_after_seconds, storable
from adapters.providers.meanings import Meaning, Meanings
from domain.errors import (
    NotDelivered,
    ProviderFailed,
    ProviderUnavailable,
    ResultUnusable,
    ServiceError,
    SubmitAmbiguous,
    TransientError,
)
from domain.generation import Undelivered
from domain.provider import JobStatus, ProviderCost, ProviderResult, Submission, SyncResult

LARGEST_ANSWER_BYTES = 200_000_000
_LARGEST_ERROR_BYTES = 2_000_000
# In a larger body than this there are images, and one character outside ASCII would make Python spend four
# bytes on each of theirs. So there such characters are dropped; they can only be in a provider's words.
_SMALL_BYTES = 1_000_000
# Divisible by 4, so that the pieces of a base64 text are base64 themselves.
_DECODED_CHARACTERS = 1 << 20
_MOST_TOKENS = 1_000_000_000

NO_IMAGE = Meaning(ProviderFailed, does_not_charge=False)
BROKEN_IMAGE = Meaning(ResultUnusable, does_not_charge=False)


@dataclass(frozen=True)
class Reading:
    """What an adapter finds in a whole answer.

    job_id: The provider's id of the call, if it gave one. images: base64, in the provider's order; None where
    one is missing. words: The provider's own. failure: Why there are no images, if the answer says so.
    """

    job_id: object
    images: Sequence[str | None] = ()
    words: str = ""
    cost: ProviderCost | None = None
    failure: Meaning | None = None


Read = Callable[[httpx.Headers, Mapping[str, Any]], Reading]
Refuse = Callable[[httpx.Response], ServiceError]


class Spool:
    """http: a client without a cap on answers. threads: as many bodies are decoded at once."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        threads: ThreadPoolExecutor,
        *,
        total_seconds: float,
        max_bytes: int = LARGEST_ANSWER_BYTES,
    ) -> None:
        self.http = http
        self._threads = threads
        self._total_seconds = total_seconds
        self._largest_bytes = max_bytes

    async def generate(
        self, request: httpx.Request, submission: Submission, folder: Path, *, read: Read, refuse: Refuse
    ) -> SyncResult:
        """Send the request once, and the images of its answer to files in `folder`.

        read: what a 200 says; it runs on a thread. refuse: what to raise for any other status.
        """
        name = submission.request.provider
        body = folder / "answer.json"
        # A connection kept from an earlier call might be closed just as this request goes out on it.
        request.headers["Connection"] = "close"
        try:
            async with asyncio.timeout(self._total_seconds):
                response = await self._receive(request, body)
            if response.status_code != httpx.codes.OK:
                raise refuse(response)
            work = partial(_answer, submission, response.headers, body, folder, read)
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderUnavailable(f"{name}: {type(error).__name__}") from error
        except (httpx.HTTPError, OSError) as error:
            raise SubmitAmbiguous(f"{name}: {type(error).__name__}") from error

    async def _receive(self, request: httpx.Request, body: Path) -> httpx.Response:
        """The answer, its body in the file if it is a 200 and in the response if not."""
        response = await self.http.send(request, stream=True)
        try:
            if response.status_code != httpx.codes.OK:
                words = bytearray()
                async for chunk in response.aiter_bytes():
                    words += chunk
                    _check(len(words), _LARGEST_ERROR_BYTES)
                return httpx.Response(response.status_code, headers=response.headers, content=bytes(words))
            total = 0
            with body.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    total += len(chunk)
                    _check(total, self._largest_bytes)
                    file.write(chunk)
            return response
        finally:
            await response.aclose()


def refusal(
    table: Meanings,
    names: Sequence[str],
    response: httpx.Response,
    words: str,
    *,
    pause_seconds: float | None = None,
) -> ServiceError:
    """What the first of the names in the table means; after them, the status alone, or `4xx`, or `5xx`.

    A status that is none of these is ambiguous. pause_seconds: as the body has it, where no header does.
    """
    status = response.status_code
    found = (table[name] for name in (*names, str(status), f"{status // 100}xx") if name in table)
    meaning = next(found, Meaning(SubmitAmbiguous, does_not_charge=False))
    if issubclass(meaning.error, TransientError):
        told = retry_after_seconds(response)
        return meaning.error(storable(words), retry_after_seconds=pause_seconds if told is None else told)
    return meaning.raised(words)


def tokens(count: object) -> ProviderCost | None:
    """A cost in tokens, where it is a number that can be believed."""
    if isinstance(count, bool) or not isinstance(count, int | float) or not 0 <= count < _MOST_TOKENS:
        return None
    return ProviderCost(Decimal(str(count)), "token")


def _answer(
    submission: Submission, headers: httpx.Headers, body: Path, folder: Path, read: Read
) -> SyncResult:
    """Runs on a thread, and returns nothing that holds a body."""
    reading = read(headers, _parsed(body, submission.request.provider))
    body.unlink()
    attempt, given = submission.attempt, reading.job_id
    # Ours, where the provider gave none: a call that was answered has an id in our records.
    job_id = (
        given if isinstance(given, str) and is_token(given) else f"{attempt.generation_id}.{attempt.ordinal}"
    )
    if reading.failure is not None:
        return SyncResult(job_id, replace(reading.failure.failed(reading.words), cost=reading.cost))
    wanted = submission.request.n
    images = [*reading.images[:wanted], *[None] * (wanted - len(reading.images))]
    files = [image and _decoded(image, folder / f"image-{index}") for index, image in enumerate(images)]
    missing = tuple(Undelivered(index, NotDelivered.code) for index, file in enumerate(files) if not file)
    if len(missing) == wanted:
        meaning = BROKEN_IMAGE if any(images) else NO_IMAGE
        return SyncResult(job_id, replace(meaning.failed(reading.words), cost=reading.cost))
    result = ProviderResult(JobStatus.SUCCEEDED, undelivered=missing, cost=reading.cost)
    return SyncResult(job_id, result, tuple(file for file in files if file))


def _parsed(body: Path, name: str) -> dict[str, Any]:
    is_small = body.stat().st_size <= _SMALL_BYTES
    try:
        text = body.read_text("utf-8") if is_small else body.read_text("ascii", errors="ignore")
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SubmitAmbiguous(f"{name}: an answer that is no JSON") from error
    if not isinstance(parsed, dict):
        raise SubmitAmbiguous(f"{name}: an answer that is no JSON object")
    return parsed


def _decoded(image: str, path: Path) -> Path | None:
    """The image as a file; None if it is not base64."""
    try:
        with path.open("wb") as file:
            for start in range(0, len(image), _DECODED_CHARACTERS):
                file.write(base64.b64decode(image[start : start + _DECODED_CHARACTERS], validate=True))
    except (binascii.Error, ValueError):
        return None
    return path


def _check(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise httpx.ReadError(f"answer over {max_bytes} bytes")
