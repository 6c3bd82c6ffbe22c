"""API keys as clients send and see them."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from api.http.schemas.api_keys import (
    ApiKeyChange,
    ApiKeyCreate,
    ApiKeyView,
    KeySpendingView,
    NewApiKeyView,
)
from domain.auth import Scope, expand_scopes
from domain.errors import InvalidInput
from domain.keys import ManagedKey, NewKey

_FIRST_YEAR, _LAST_YEAR = 2000, 9998
# Where null says that a field is not changed: it has no value that is none.
_NOT_NULL = ("name", "scopes")


def given_by(body: ApiKeyCreate | ApiKeyChange) -> Mapping[str, Any]:
    """Return the fields that a client has sent. Raises InvalidInput."""
    sent = {name: getattr(body, name) for name in body.model_fields_set}
    given = {name: value for name, value in sent.items() if value is not None or name not in _NOT_NULL}
    if "scopes" in given:
        given["scopes"] = frozenset(expand_scopes(given["scopes"]))
    if "limits" in given:
        limits = given["limits"]
        given["limits"] = {name: getattr(limits, name) for name in limits.model_fields_set}
    _require_year(given.get("expires_at"))
    return given


def _require_year(moment: datetime | None) -> None:
    """Refuse what has no equal in another time zone, on which the database would fail."""
    if moment is not None and not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise InvalidInput(errors=(("expires_at", f"later than now, and at most in the year {_LAST_YEAR}"),))


def serialize_key(key: ManagedKey) -> ApiKeyView:
    powers = key.powers
    return ApiKeyView(
        id=key.id,
        name=key.name,
        scopes=[scope for scope in Scope if scope in powers.scopes],
        limits=dict(powers.limits),
        monthly_budget_credits=powers.monthly_budget_credits,
        max_held_credits=powers.max_held_credits,
        spending=KeySpendingView(**asdict(key.spending)),
        created_at=key.created_at,
        created_by=key.created_by,
        last_used_at=key.last_used_at,
        expires_at=powers.expires_at,
        revoked_at=key.revoked_at,
    )


def serialize_new_key(made: tuple[ManagedKey, NewKey]) -> NewApiKeyView:
    key, new = made
    return NewApiKeyView(**serialize_key(key).model_dump(), api_key=new.api_key)
