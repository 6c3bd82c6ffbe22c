"""Calls to providers whose response carries the images themselves, after minutes and with many megabytes.

The response is written to a file while it arrives. Parsing and decoding happen afterwards, on the few threads
that the client is given, so no more bodies are in memory than there are threads, however many calls wait.
Every synchronous adapter uses this client, so that what is ambiguous is decided once: from the first byte
sent until the whole response is parsed, the provider may have made the images and charged for them. So its
file is there before, and a full disk is waited out (`adapters/providers/http/full_disk.py`).
"""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from io import FileIO
from pathlib import Path
from typing import Any

from adapters.providers.http.error_mapping import ErrorMapping, ErrorTable
from adapters.providers.http.event_stream import PartialImageReader, StreamFormat, is_event_stream
from adapters.providers.http.full_disk import MemoryRoom, ResponseBody, write_whole
from adapters.providers.http.gateways import field_of, identifier, wrapped_error
from adapters.providers.http.requests import submit_error
from adapters.providers.http.responses import is_token, retry_after_seconds, storable
from adapters.transport.errors import HttpError
from adapters.transport.http import HttpClient, Request, Response, response_of
from domain.errors import (
    NotDelivered,
    ProviderFailed,
    ResultUnusable,
    ServiceError,
    StorageUnavailable,
    SubmitAmbiguous,
    TransientError,
)
from domain.generation import Undelivered
from domain.provider import JobStatus, ProviderCost, ProviderResult, Submission, SyncResult

MAX_RESPONSE_BYTES = 200_000_000
_MAX_ERROR_BYTES = 2_000_000
# A larger body has images in it, and one character outside ASCII would make Python spend four bytes on each
# of theirs. So such characters are dropped there; they can only be in a provider's message.
_MAX_TEXT_BYTES = 1_000_000
# Divisible by 4, so that the pieces of a base64 text are base64 themselves.
_DECODED_CHARACTERS = 1 << 20
_MAX_TOKENS = 1_000_000_000
# Lines and the alphabet for addresses are base64 too (RFC 4648, RFC 2045).
_PLAIN_BASE64 = str.maketrans("-_", "+/", " \t\r\n")
_REQUEST_ID_HEADERS = ("x-request-id", "x-goog-request-id", "x-guploader-uploadid", "cf-ray")

NO_IMAGE = ErrorMapping(ProviderFailed, does_not_charge=False)
BROKEN_IMAGE = ErrorMapping(ResultUnusable, does_not_charge=False)


@dataclass(frozen=True)
class ParsedResponse:
    """What an adapter finds in a whole response.

    job_id: The provider's id of the call, if it gave one. images: base64, in the provider's order; None where
    one is missing. message: The provider's own text. failure: Why there are no images, if it is stated.
    """

    job_id: object
    images: Sequence[str | None] = ()
    message: str = ""
    cost: ProviderCost | None = None
    failure: ErrorMapping | None = None


ParseResponse = Callable[[Mapping[str, str], Mapping[str, Any]], ParsedResponse]
MapError = Callable[[Response], ServiceError]


class InlineImageClient:
    """http: a client without a cap on responses. threads: as many bodies are decoded at once."""

    def __init__(
        self,
        http: HttpClient,
        threads: ThreadPoolExecutor,
        *,
        total_seconds: float,
        max_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        self._http = http
        self._threads = threads
        self._total_seconds = total_seconds
        self._max_bytes = max_bytes
        self._room = MemoryRoom(max_bytes)

    async def send(
        self,
        request: Request,
        submission: Submission,
        folder: Path,
        *,
        parse: ParseResponse,
        map_error: MapError,
        stream: StreamFormat | None = None,
    ) -> SyncResult:
        """Send the request once, and write the images of the response to files in `folder`.

        parse: parses a 200; it runs on a thread. map_error: returns what to raise for any other status.
        stream: how a 200 that is a stream of events is read, if one was asked for.
        Raises StorageUnavailable, with nothing sent, if there is no file for the response.
        """
        name = submission.request.provider
        try:
            body = ResponseBody(folder / "response.json", self._room)
        except OSError as error:
            raise StorageUnavailable(f"no file for a response: {error}") from error
        partial_images = PartialImageReader(stream, body, folder, self._threads, submission.on_partial_image)
        try:
            async with asyncio.timeout(self._total_seconds):
                response = await self._download(request, body, partial_images)
            if response.status_code != HTTPStatus.OK:
                raise map_error(response)
            await partial_images.close()  # the body goes once it is parsed
            work = partial(_sync_result, submission, response.headers, body, folder, parse, stream)
            found = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except HttpError as error:
            raise submit_error(name, error) from error
        except OSError as error:
            raise SubmitAmbiguous(f"{name}: {type(error).__name__}") from error
        finally:
            await partial_images.close()
            body.close()
        if isinstance(found, SyncResult):
            return found
        raise map_error(found)  # an error in a 200

    async def _download(
        self, request: Request, body: ResponseBody, partial_images: PartialImageReader
    ) -> Response:
        """Return the response, its body in the file for a 200 and in memory for any other status."""
        async with self._http.stream(request) as response:
            is_ok = response.status_code == HTTPStatus.OK
            max_bytes = self._max_bytes if is_ok else _MAX_ERROR_BYTES
            content, total = bytearray(), 0
            async for chunk in response.chunks:
                total += len(chunk)
                if total > max_bytes:
                    raise HttpError(f"response over {max_bytes} bytes")
                if is_ok:
                    await body.write(chunk)
                    partial_images.feed(chunk)
                else:
                    content += chunk
            return response_of(response.status_code, response.headers, bytes(content))


def map_error_response(
    table: ErrorTable,
    names: Sequence[str],
    response: Response,
    message: str,
    *,
    pause_seconds: float | None = None,
) -> ServiceError:
    """Return the error of the first name in the table; then of the status alone, or `4xx`, or `5xx`.

    A status that is none of these is ambiguous. pause_seconds: from the body, used where no header has it.
    """
    status = response.status_code
    found = (table[name] for name in (*names, str(status), f"{status // 100}xx") if name in table)
    mapping = next(found, ErrorMapping(SubmitAmbiguous, does_not_charge=False))
    if mapping.error is SubmitAmbiguous:
        message += _request_id(response, message)  # what the provider's support asks for
    if issubclass(mapping.error, TransientError):
        stated = retry_after_seconds(response)
        return mapping.error(
            storable(message), retry_after_seconds=pause_seconds if stated is None else stated
        )
    return mapping.to_error(message)


def _request_id(response: Response, message: str) -> str:
    """Return the provider's id of the request as a suffix, where a header has one that was not told yet."""
    ids = (response.headers.get(name, "") for name in _REQUEST_ID_HEADERS)
    found = next((each for each in ids if is_token(each)), "")
    return f" (request {found})" if found and found not in message else ""


def base64_images(body: Mapping[str, Any]) -> list[str | None]:
    """Return the images of a response in the form of OpenAI's: `data`, each with a `b64_json`."""
    data = body.get("data")
    items = data if isinstance(data, list) else [data]
    images = [field_of(item, "b64_json") or _inline(field_of(item, "url")) for item in items]
    return [image if isinstance(image, str) else None for image in images]


def _inline(url: object) -> object:
    return url if isinstance(url, str) and url.startswith("data:") else None


def token_cost(count: object) -> ProviderCost | None:
    """Return a cost in tokens; None if the count is not a believable number."""
    if isinstance(count, bool) or not isinstance(count, int | float) or not 0 <= count < _MAX_TOKENS:
        return None
    return ProviderCost(Decimal(str(count)), "token")


def _sync_result(
    submission: Submission,
    headers: Mapping[str, str],
    body: ResponseBody,
    folder: Path,
    parse: ParseResponse,
    stream: StreamFormat | None,
) -> SyncResult | Response:
    """Parse and decode, or return the error that the response is. Runs on a thread, and keeps no body."""
    content = _content(submission.request.provider, headers, body.read(), stream)
    if not isinstance(content, dict):
        return content
    parsed = parse(headers, content)
    body.remove()
    is_empty = parsed.failure is None and not any(parsed.images)
    if is_empty and (error := wrapped_error(headers, content)) is not None:
        return error
    attempt = submission.attempt
    # Our own id where the provider gave none: every call with a response has an id in our records.
    job_id = identifier(parsed.job_id) or f"{attempt.generation_id}.{attempt.ordinal}"
    if is_empty and content.get("error"):
        parsed = replace(parsed, message=f"{submission.request.provider}: {content['error']}")
    if parsed.failure is not None:
        return SyncResult(job_id, replace(parsed.failure.to_result(parsed.message), cost=parsed.cost))
    wanted = submission.request.n
    images = [*parsed.images[:wanted], *[None] * (wanted - len(parsed.images))]
    files = [image and _decoded(image, folder / f"image-{index}") for index, image in enumerate(images)]
    missing = tuple(Undelivered(index, NotDelivered.code) for index, file in enumerate(files) if not file)
    if len(missing) == wanted:
        mapping = BROKEN_IMAGE if any(images) else NO_IMAGE
        return SyncResult(job_id, replace(mapping.to_result(parsed.message), cost=parsed.cost))
    result = ProviderResult(JobStatus.SUCCEEDED, undelivered=missing, cost=parsed.cost)
    return SyncResult(job_id, result, tuple(file for file in files if file))


def _content(
    name: str, headers: Mapping[str, str], body: bytes, stream: StreamFormat | None
) -> dict[str, Any] | Response:
    if stream is None or not is_event_stream(headers):
        return _json_object(body, name)
    content = stream.read_whole(headers, body)
    if content is None:
        raise SubmitAmbiguous(f"{name}: a stream without an end")
    return content


def _json_object(body: bytes, name: str) -> dict[str, Any]:
    is_small = len(body) <= _MAX_TEXT_BYTES
    try:
        # A byte order mark or a broken character does not make what was paid for another thing.
        text = body.decode("utf-8-sig", "replace") if is_small else body.decode("ascii", "ignore")
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SubmitAmbiguous(f"{name}: a response that is not JSON") from error
    if not isinstance(parsed, dict):
        raise SubmitAmbiguous(f"{name}: a response that is not a JSON object")
    return parsed


def _decoded(image: str, path: Path) -> Path | None:
    """Write the image to the file; None if it is not base64 in any of its forms."""
    if image.startswith("data:"):
        image = image.partition(",")[2]
    try:
        _decode(image, path)
    except ValueError:
        plain = image.translate(_PLAIN_BASE64)
        try:
            _decode(plain + "=" * (-len(plain) % 4), path)
        except ValueError:
            return None
    return path


def _decode(image: str, path: Path) -> None:
    with FileIO(path, "w") as file:
        for start in range(0, len(image), _DECODED_CHARACTERS):
            write_whole(file, base64.b64decode(image[start : start + _DECODED_CHARACTERS], validate=True))
