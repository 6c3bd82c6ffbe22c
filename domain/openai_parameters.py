"""What a request in OpenAI's form asks of a model, in the model's own parameters.

What a model cannot do stays among its parameters, so that the model refuses it by its name.
"""

from collections.abc import Mapping
from typing import Any

from domain.errors import InvalidInput
from domain.model import Model, without_none

# Of the routes that take no model, as OpenAI's did.
DEFAULT_MODEL = "gpt-image-1.5"
_DEFAULTS: Mapping[str, Any] = {
    "n": 1,
    "size": "auto",
    "quality": "auto",
    "background": "auto",
    "output_format": "png",
}
# Where the client leaves the choice to the model, any model can do that.
_LEFT_TO_THE_MODEL = ("size", "quality", "background", "moderation")
_AUTO = "auto"
# None of them is what every model does.
_PARTIAL_IMAGES = "partial_images"
_OPTIONS = ("moderation", "output_compression")
# Of a model that has no sizes: the ratio is exactly that, and the resolution has such an edge.
_SQUARES: Mapping[str, str] = {"1024x1024": "1K", "2048x2048": "2K", "4096x4096": "4K"}
_SQUARE = "1:1"


def model_parameters(model: Model, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the model. asked: prompt, OpenAI's parameters and the model's own.

    Raises InvalidInput for a size beside an aspect ratio; what else is wrong is left to the model.
    """
    given = without_none(asked)
    own_options = given.get("options", {})
    options: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    for name, value in given.items():
        if name in _OPTIONS and _takes_option(model, name):
            options[name] = value
        elif name == "size" and "size" not in model.parameters:
            parameters |= _shape(model, value, given)
        elif not (_is_left_to(model, name, value) or (name == _PARTIAL_IMAGES and value == 0)):
            parameters[name] = value
    if options and isinstance(own_options, dict):
        parameters["options"] = own_options | options
    return _defaults(model) | parameters


def _defaults(model: Model) -> dict[str, Any]:
    """Return OpenAI's defaults that the model can do; for the others its own are taken."""
    return {
        name: value
        for name, value in _DEFAULTS.items()
        if name in model.parameters and not model.parameters[name].violations(value)
    }


def _takes_option(model: Model, name: str) -> bool:
    options = model.parameters.get("options")
    return options is not None and name in options.schema.get("properties", {})


def _is_left_to(model: Model, name: str, value: Any) -> bool:
    if name not in _LEFT_TO_THE_MODEL or value != _AUTO:
        return False
    return name not in model.parameters or bool(model.parameters[name].violations(value))


def _shape(model: Model, size: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return aspect ratio and resolution of a size, for a model that takes those instead."""
    ratio = model.parameters.get("aspect_ratio")
    if size == _AUTO:
        return {}
    if ratio is None:
        return {"size": size}
    resolution = model.parameters.get("resolution")
    sizes = _SQUARES if resolution is not None else dict.fromkeys([next(iter(_SQUARES))], "")
    if size not in sizes or ratio.violations(_SQUARE):
        known = ", ".join((_AUTO, *sizes))
        raise InvalidInput(errors=(("size", f"{model.id} takes aspect_ratio; as a size one of {known}"),))
    if "aspect_ratio" in given or "resolution" in given:
        raise InvalidInput(errors=(("size", "not beside aspect_ratio or resolution"),))
    return {"aspect_ratio": _SQUARE} | ({"resolution": sizes[size]} if resolution is not None else {})
