"""What is in a file: as it was uploaded, or what came of a batch, as OpenAI's clients ask for it."""

from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from api.deps import CanReadGenerations, ServicesDep
from api.http.batch_results import MEDIA_TYPE, read_results_file
from api.http.client import client_of
from api.http.declarations import declares
from api.http.file_ids import FileId
from api.http.object_response import ObjectResponse
from api.http.response_headers import CONTENT_RANGE
from api.routes.batch_results import result_lines
from domain.errors import BatchNotFound, FileNotFound, StorageUnavailable

router = APIRouter(prefix="/v1/files", tags=["files"])
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BYTES: dict[str, Any] = {
    **{f"image/{kind}": _BINARY for kind in ("png", "jpeg", "webp")},
    MEDIA_TYPE: {"schema": {"type": "string"}},
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": _BYTES},
    206: {"content": _BYTES | {"multipart/byteranges": _BINARY}},
    416: {"headers": CONTENT_RANGE},
}


@router.get("/{file_id}/content", response_class=Response, responses=_RESPONSES)
@declares(StorageUnavailable)
async def get_file_content(
    file_id: FileId, request: Request, caller: CanReadGenerations, services: ServicesDep
) -> Response:
    """Get the bytes of a file. `output_file_id` and `error_file_id` of a batch are read only here."""
    results = read_results_file(file_id)
    if results is not None:
        batch_id, kind = results
        try:
            batch = await services.batches.rows.get_batch_of(caller.tenant_id, batch_id)
        except BatchNotFound as error:
            raise FileNotFound from error
        return StreamingResponse(await result_lines(services, batch, kind=kind), media_type=MEDIA_TYPE)
    file = await services.input_files.get_file_of(caller.tenant_id, file_id)
    copy = AsyncExitStack()
    opening = services.image_copies.open_copy(caller.tenant_id, file.key, client_of(request).waiting())
    path = await copy.enter_async_context(opening)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"}
    return ObjectResponse(path, copy, media_type=file.facts.content_type, headers=headers)
