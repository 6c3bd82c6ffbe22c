"""Images that clients bring, to be used as inputs."""

from fastapi import APIRouter, Request, status

from api.deps import FileId, PartsDep, Reader, Writer
from api.schemas import FileView
from api.uploads import uploaded
from api.views import file_view

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
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.post("", status_code=status.HTTP_201_CREATED, openapi_extra=_BODY)
async def upload_file(request: Request, caller: Writer, parts: PartsDep) -> FileView:
    """Keep a PNG, JPEG or WebP image for 24 hours; each use in a generation makes that 7 days."""
    async with parts.inputs.turn(caller.tenant_id), uploaded(request) as path:
        return file_view(await parts.inputs.upload(caller.tenant_id, path))


@router.get("/{file_id}")
async def get_file(file_id: FileId, caller: Reader, parts: PartsDep) -> FileView:
    """What is known of a file."""
    return file_view(await parts.files.get_for(caller.tenant_id, file_id))
