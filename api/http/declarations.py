"""What a dependency or a route says of itself beside its signature, for the description of the API.

A route's errors are its own and those of everything it depends on, so most routes declare few or none.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi.dependencies.models import Dependant

from domain.auth import Scope
from domain.errors import ServiceError
from domain.operators import OperatorScope

_ATTRIBUTE = "__declaration__"
_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Declaration:
    """What a function adds to each route that uses it.

    Attributes:
        errors: What it may raise on its way to a response.
        scope: What the key must be allowed to do.
        security: Ways in, by the name of a security scheme; a request needs one of them.
        parameters: Of the request, read by hand.
        headers: Of every response but errors, by name, as OpenAPI writes them.
    """

    errors: tuple[type[ServiceError], ...] = ()
    scope: Scope | OperatorScope | None = None
    security: tuple[str, ...] = ()
    parameters: tuple[Mapping[str, Any], ...] = ()
    headers: Mapping[str, Any] = field(default_factory=dict)


def declares(
    *errors: type[ServiceError],
    scope: Scope | OperatorScope | None = None,
    security: tuple[str, ...] = (),
    parameters: tuple[Mapping[str, Any], ...] = (),
    headers: Mapping[str, Any] | None = None,
) -> Callable[[_F], _F]:
    """Attach a declaration to a route's function or to a dependency; the arguments are its fields."""

    def attach(function: _F) -> _F:
        setattr(function, _ATTRIBUTE, Declaration(errors, scope, security, parameters, headers or {}))
        return function

    return attach


def declarations_of(dependant: Dependant) -> Iterator[Declaration]:
    """Yield the declarations of a route's function and of all that it depends on, outermost first."""
    declared = getattr(dependant.call, _ATTRIBUTE, None)
    if declared is not None:
        yield declared
    for dependency in dependant.dependencies:
        yield from declarations_of(dependency)
