"""Reading a JSON body: after the caller is known, in bounded time, and of large ones a tenant's few at once.

FastAPI would parse megabytes before it authenticates anybody.
"""

import asyncio
import json
from typing import TypeVar

from fastapi import HTTPException, Request, status
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.http.schemas.generations import GenerationCreate
from api.services.tenant_limits import TenantConcurrencyLimiter
from domain.errors import InvalidInput, UnsupportedMediaType

# A longer body waits for its tenant's turn, and is parsed on a thread.
_MAX_INLINE_BYTES = 64 * 1024
# More than any field takes; the schema checks each field's own, smaller limit.
_MAX_ITEMS = 50
_STRUCTURE = (b"[", b"{", b",", b":")
_MAX_STRUCTURE = 60_000
Body = TypeVar("Body", bound=BaseModel)


async def read_generation(
    request: Request, tenant_id: str, limiter: TenantConcurrencyLimiter
) -> GenerationCreate:
    """Read and validate the body of a new generation. Raises as `read_json`."""
    return await read_json(request, tenant_id, limiter, GenerationCreate)


async def read_json(
    request: Request, tenant_id: str, limiter: TenantConcurrencyLimiter, schema: type[Body]
) -> Body:
    """Read and validate the body of a POST.

    Raises InvalidInput, UnsupportedMediaType, RequestValidationError, HTTPException 400 for what is no JSON
    and 429 where the tenant sends too many large bodies at once.
    """
    require_json(request)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) <= _MAX_INLINE_BYTES:
        return _parse(await whole_body(request), schema)
    async with limiter.limit(tenant_id):
        return await asyncio.to_thread(_parse, await whole_body(request), schema)


def require_json(request: Request) -> None:
    """Raises UnsupportedMediaType."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMediaType("the body must be application/json")


async def whole_body(request: Request) -> bytes:
    """Return the body without a copy in the request, which may wait for minutes."""
    return b"".join([chunk async for chunk in request.stream()])


def _parse(body: bytes, schema: type[Body]) -> Body:
    if not body:
        raise InvalidInput(errors=(("body", "a JSON object, sent as application/json"),))
    _refuse_many_values(body)
    try:
        given = json.loads(body)
        _refuse_many_items(given, schema)
        return schema.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False)) from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST) from error


def _refuse_many_values(body: bytes) -> None:
    """Refuse what would take seconds to parse, during which nobody else is served.

    Images as data URIs are long and have none of these characters; a prompt may have thousands.
    """
    if sum(body.count(character) for character in _STRUCTURE) > _MAX_STRUCTURE:
        raise InvalidInput(errors=(("body", f"at most {_MAX_STRUCTURE} brackets, commas and colons"),))


def _refuse_many_items(given: object, schema: type[BaseModel]) -> None:
    """Refuse what would make validation write a hundred thousand errors."""
    if not isinstance(given, dict):
        return
    if len(given) > _MAX_ITEMS:
        raise InvalidInput(errors=(("body", f"at most {_MAX_ITEMS} fields"),))
    for name, value in given.items():
        if isinstance(value, dict | list) and len(value) > _MAX_ITEMS:
            what = "fields" if isinstance(value, dict) else "items"
            field = name if name in schema.model_fields else "body"
            raise InvalidInput(errors=((field, f"at most {_MAX_ITEMS} {what}"),))
