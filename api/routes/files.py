"""Input files."""

from fastapi import APIRouter, Request, status

from api.deps import (
    CanCancelGenerations,
    CanReadGenerations,
    CanUploadFiles,
    ServicesDep,
    actor_of,
)
from api.http.declarations import declares
from api.http.file_ids import FileId
from api.http.multipart import uploaded_file
from api.http.schemas.files import FileView
from api.http.serializers import serialize_file
from api.http.upload_limits import MULTIPART_OVERHEAD_BYTES, bounded_upload
from domain.errors import FileInUse, FileQuotaExceeded, ImageDecoderUnavailable, StorageUnavailable
from domain.input_files import FilePurpose

router = APIRouter(prefix="/v1/files", tags=["files"])
# The body is read by hand, after the key is known to be good, so FastAPI cannot describe it.
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "purpose": {
                            "type": "string",
                            "description": "`batch` for the lines of a batch; send it before the file.",
                        },
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    }
}


@router.post("", status_code=status.HTTP_201_CREATED, openapi_extra=_BODY)
@declares(FileQuotaExceeded, StorageUnavailable, ImageDecoderUnavailable)
async def upload_file(request: Request, caller: CanUploadFiles, services: ServicesDep) -> FileView:
    """Store a PNG, JPEG or WebP image for 24 hours; each use in a generation makes that 7 days.

    With `purpose=batch` the file is JSON Lines, for `POST /v1/batches`.
    """
    images = services.input_file_service
    bounded = bounded_upload(request, images.max_bytes + MULTIPART_OVERHEAD_BYTES)
    async with images.limit(caller.tenant_id), uploaded_file(bounded) as uploaded:
        # In the tenant's turn, after the others that wait for theirs.
        await services.admission.admit_files(caller)
        if uploaded.purpose == FilePurpose.BATCH:
            return serialize_file(await services.batches.files.store_lines(caller.tenant_id, uploaded.path))
        return serialize_file(await images.store_upload(caller.tenant_id, uploaded.path))


@router.get("/{file_id}")
async def get_file(file_id: FileId, caller: CanReadGenerations, services: ServicesDep) -> FileView:
    """Get a file's properties."""
    return serialize_file(await services.input_files.get_file_of(caller.tenant_id, file_id))


@router.delete("/{file_id}", status_code=status.HTTP_204_NO_CONTENT)
@declares(FileInUse)
async def delete_file(file_id: FileId, caller: CanCancelGenerations, services: ServicesDep) -> None:
    """Delete a file. 409 `file_in_use` while a generation, or a batch that is being checked, needs it."""
    await services.erasure.expire_file(caller.tenant_id, file_id, by=actor_of(caller))
