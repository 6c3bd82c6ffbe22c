"""The images of an edit: files of a form, or data URLs in JSON."""

from collections.abc import AsyncGenerator
from typing import Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from simulator.core.images.inputs import fetched
from simulator.core.images.sources import SourceInvalid
from simulator.core.rejected import Rejected
from simulator.core.synchronous.job_spec import RawRequest
from simulator.core.wire import BodyInvalid, read_body, read_json
from simulator.openai.errors import rejection

MAX_BODY_BYTES = 200_000_000
MAX_IMAGES = 16
_MAX_TEXT_BYTES = 200_000
_MIME_TYPES = ("image/jpeg", "image/png", "image/webp")


async def read_fields(request: Request) -> RawRequest:
    """Read a JSON object. Raises Rejected."""
    try:
        fields = await read_json(request, MAX_BODY_BYTES)
    except BodyInvalid as error:
        raise rejection(
            400, f"We could not parse the JSON body of your request: {error}", code=None
        ) from error
    if not isinstance(fields, dict):
        raise rejection(400, "Invalid body: expected an object.", code="invalid_type")
    return RawRequest(fields)


async def read_edit(request: Request) -> RawRequest:
    """Read a form or a JSON object; `files` has `image` and optionally `mask`. Raises Rejected."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _read_form(request)
    given = await read_fields(request)
    images = given.fields.pop("images", None)
    if not isinstance(images, list):
        raise rejection(
            400, "Missing required parameter: 'images'.", param="images", code="missing_required_parameter"
        )
    if len(images) > MAX_IMAGES:
        raise too_many(len(images))
    given.files["image"] = [
        await _referenced(image, f"images[{index}]") for index, image in enumerate(images)
    ]
    mask = given.fields.pop("mask", None)
    if mask is not None:
        given.files["mask"] = [await _referenced(mask, "mask")]
    return given


async def _read_form(request: Request) -> RawRequest:
    try:
        body = await read_body(request, MAX_BODY_BYTES)
        parser = MultiPartParser(
            request.headers, _once(body), max_files=MAX_IMAGES + 2, max_part_size=_MAX_TEXT_BYTES
        )
        form = await parser.parse()
    except (BodyInvalid, MultiPartException, KeyError) as error:
        raise rejection(400, f"Could not parse the form: {error}", code=None) from error
    given = RawRequest({}, is_form=True)
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                content = await value.read()
                given.files.setdefault(name.removesuffix("[]"), []).append(content)
                _check_mime_type(name, value.content_type)
            else:
                given.fields[name] = value
    finally:
        await form.close()
    return given


def _check_mime_type(name: str, mime_type: str | None) -> None:
    """Check the declared type of a part, not its content; a mask may declare any type."""
    if name != "mask" and mime_type not in _MIME_TYPES:
        message = f"Invalid file '{name}': unsupported mimetype ('{mime_type}'). Supported file formats are "
        supported = "'image/jpeg', 'image/png', and 'image/webp'."
        raise rejection(400, message + supported, param=name, code="unsupported_file_mimetype")


async def _referenced(reference: Any, param: str) -> bytes:
    """Read a data URL or an address; there are no uploaded files."""
    url = reference.get("image_url") if isinstance(reference, dict) else None
    try:
        return await fetched(url if isinstance(url, str) else "")
    except SourceInvalid as error:
        message = f"Invalid image reference: {error}."
        raise rejection(400, message, param=param, code="invalid_image_url") from error


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def too_many(count: int) -> Rejected:
    message = f"Invalid 'image': array too long. Expected at most {MAX_IMAGES} images, got {count}."
    return rejection(400, message, param="image", code="array_above_max_length")


def bad_image(message: str, param: str) -> Rejected:
    return rejection(400, message, param=param, code="invalid_image_file")
