"""Bodies of the routes in OpenAI's form. What they do not name is a parameter of the model's own."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_MAX_WORD_CHARACTERS, _MAX_USER_CHARACTERS, _MAX_PARTIAL_IMAGES = 100, 256, 3
_MAX_IMAGES = 50


def _no_flag(value: object) -> object:
    """Refuse true and false, which Python takes for 1 and 0; the words of a form are numbers."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic turns no TypeError into a 400
    return value


def _no_number(value: object) -> object:
    """Refuse 0 and 1 as false and true; the words of a form are flags."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - as above
    return value


Flag = Annotated[bool, BeforeValidator(_no_number)]
Count = Annotated[int, BeforeValidator(_no_flag)]


class ImageAsk(BaseModel):
    """What all of them take. `null` is the same as nothing."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any] = Field(init=False)

    prompt: str | None = None
    model: str | None = Field(default=None, max_length=_MAX_WORD_CHARACTERS)
    n: Count | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    moderation: str | None = None
    output_format: str | None = None
    output_compression: Count | None = None
    response_format: Literal["url", "b64_json"] | None = None
    stream: Flag | None = None
    partial_images: Count | None = Field(default=None, ge=0, le=_MAX_PARTIAL_IMAGES)
    user: str | None = Field(default=None, max_length=_MAX_USER_CHARACTERS)
    safety_identifier: str | None = Field(default=None, max_length=_MAX_USER_CHARACTERS)

    @property
    def metadata(self) -> dict[str, str]:
        """Return what says for whom it is, which is kept with the job."""
        found = {"user": self.user, "safety_identifier": self.safety_identifier}
        return {name: value for name, value in found.items() if value}

    def asked(self) -> dict[str, Any]:
        """Return what the model is asked for."""
        return self.model_dump(exclude=_NOT_OF_THE_MODEL & type(self).model_fields.keys())


_NOT_OF_THE_MODEL = {
    "model",
    "response_format",
    "stream",
    "user",
    "safety_identifier",
    "images",
    "mask",
}


class ImageReference(BaseModel):
    """An image by its address or as a data URI, or by the id of a file."""

    model_config = ConfigDict(extra="forbid")

    image_url: str | None = None
    file_id: str | None = Field(default=None, max_length=_MAX_WORD_CHARACTERS)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.image_url is None) == (self.file_id is None):
            raise ValueError("either image_url or file_id")
        return self

    @property
    def source(self) -> str:
        return self.file_id or self.image_url or ""


class ImageEditAsk(ImageAsk):
    """The same with images. In a form they are files, `image` or `image[]`, and `mask`."""

    images: list[ImageReference] | None = Field(default=None, max_length=_MAX_IMAGES)
    mask: ImageReference | None = None


class ImageEditForm(ImageAsk):
    """The same as a form, for its description: `image`, or `image[]` once for each."""

    image: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]
    mask: Annotated[bytes | None, Field(json_schema_extra={"format": "binary"})] = None


class ErrorDetail(BaseModel):
    """What is wrong. `param` names the parameter, `generation_id` the job, if there is one."""

    message: str
    type: str
    param: str | None
    code: str
    generation_id: str | None = None


class OpenAIError(BaseModel):
    """An error as OpenAI's clients read it."""

    error: ErrorDetail


class ImageData(BaseModel):
    """One image: itself, or its address."""

    b64_json: str | None = None
    url: str | None = None


class ImagesView(BaseModel):
    """The images of a job, as OpenAI's clients read them."""

    created: int
    background: str | None = None
    output_format: str
    quality: str | None = None
    size: str
    data: list[ImageData]
