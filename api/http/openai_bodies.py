"""Reading bodies in OpenAI's form: JSON, and for edits also multipart as its clients send it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.http.json_body import read_json
from api.http.multipart import ImageForm, uploaded_images
from api.http.schemas.openai_images import ImageAsk, ImageEditAsk
from api.services.input_files import InputFileService
from api.services.tenant_limits import TenantConcurrencyLimiter
from domain.errors import InvalidInput
from domain.model import Model

# OpenAI takes 16 images and a mask.
_MAX_FILES = 17
_IMAGES, _MASK = ("image", "image[]"), "mask"


@dataclass(frozen=True)
class AskedImages:
    """A body that was read. inputs, mask: as in GenerationCommand. is_form: whether its values are text."""

    ask: ImageAsk
    inputs: tuple[str, ...] = ()
    mask: str | None = None
    uploads: Mapping[str, Path] = field(default_factory=dict)
    is_form: bool = False

    def parameters(self, model: Model) -> dict[str, Any]:
        """Return what the model is asked for; numbers that a form has as text are numbers."""
        asked = self.ask.asked()
        if self.is_form:
            for name in (self.ask.model_extra or {}).keys() & model.parameters.keys():
                if model.parameters[name].schema.get("type") == "integer" and str(asked[name]).isdecimal():
                    asked[name] = int(asked[name])
        return asked

    def whole(self) -> dict[str, Any]:
        """Return all that was asked, to know a repeat by; the bytes of uploads by their hashes."""
        return self.ask.model_dump(exclude={"images", "mask"}) | {"inputs": self.inputs, "mask": self.mask}


async def read_generation_ask(
    request: Request, tenant_id: str, limiter: TenantConcurrencyLimiter
) -> AskedImages:
    """Read the body of a generation. Raises as `read_json`."""
    return AskedImages(await read_json(request, tenant_id, limiter, ImageAsk))


@asynccontextmanager
async def opened_edit_ask(
    request: Request,
    tenant_id: str,
    limiter: TenantConcurrencyLimiter,
    files: InputFileService,
) -> AsyncIterator[AskedImages]:
    """Open the body of an edit: the files of a form are there for the block. Raises as `read_json`."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        ask = await read_json(request, tenant_id, limiter, ImageEditAsk)
        inputs = tuple(image.source for image in ask.images or ())
        yield AskedImages(ask, _some(inputs), ask.mask.source if ask.mask is not None else None)
        return
    async with AsyncExitStack() as stack:
        async with files.limit(tenant_id):
            form = await stack.enter_async_context(uploaded_images(request, _MAX_FILES))
        yield _of_form(form)


def _of_form(form: ImageForm) -> AskedImages:
    given = {name: value for name, value in form.fields.items() if name not in (*_IMAGES, _MASK)}
    if given.keys() != form.fields.keys():
        raise InvalidInput(errors=(("image", "a file"),))
    try:
        ask = ImageAsk.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False)) from error
    images = [source for name, source, _ in form.files if name in _IMAGES]
    masks = [source for name, source, _ in form.files if name == _MASK]
    others = {name for name, _, _ in form.files} - {*_IMAGES, _MASK}
    if others or len(masks) > 1:
        raise InvalidInput(errors=(("body", "as files only image or image[], and one mask"),))
    uploads = {source: path for _, source, path in form.files}
    return AskedImages(ask, _some(images), masks[0] if masks else None, uploads, is_form=True)


def _some(images: Sequence[str]) -> tuple[str, ...]:
    if not images:
        raise InvalidInput(errors=(("inputs", "an edit needs one or more images"),))
    return tuple(images)
