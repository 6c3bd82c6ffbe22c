"""API keys, which keys with the scope `keys:write` make, change and revoke."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, status

from api.deps import ServicesDep, with_scope
from api.http.declarations import declares
from api.http.key_views import given_by, serialize_key, serialize_new_key
from api.http.pagination import KEY_CURSOR, key_cursor, read_key_cursor
from api.http.path_ids import ApiKeyId
from api.http.schemas.api_keys import ApiKeyChange, ApiKeyCreate, ApiKeyPage, ApiKeyView, NewApiKeyView
from domain.auth import Caller, Scope
from domain.errors import ApiKeyEnded, KeyExceedsOwn, TooManyApiKeys
from domain.keys import KeyPosition
from domain.tenant import RatePolicy

router = APIRouter(prefix="/v1/keys", tags=["keys"])
CanReadKeys = Annotated[Caller, Depends(with_scope(Scope.WRITE_KEYS, RatePolicy.READ))]
CanMakeKeys = Annotated[Caller, Depends(with_scope(Scope.WRITE_KEYS, RatePolicy.CREATE))]
# As cancels, which must work in a flood of other requests.
CanManageKeys = Annotated[Caller, Depends(with_scope(Scope.WRITE_KEYS, RatePolicy.CANCEL))]


@router.post("", status_code=status.HTTP_201_CREATED)
@declares(KeyExceedsOwn, TooManyApiKeys)
async def create_api_key(body: ApiKeyCreate, caller: CanMakeKeys, services: ServicesDep) -> NewApiKeyView:
    """Make a key, with at most the scopes, lifetime and caps of this one. Its secret is shown this once.

    What is left out is as of this key. A repeat makes another key: after a response that was lost, find the
    first one in the list by its name, and revoke it.
    """
    given = dict(given_by(body))
    return serialize_new_key(await services.api_keys.add(caller, given.pop("name", ""), given))


@router.get("")
async def list_api_keys(
    caller: CanReadKeys,
    services: ServicesDep,
    cursor: Annotated[str | None, Query(max_length=200, json_schema_extra=KEY_CURSOR)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> ApiKeyPage:
    """List the tenant's keys, newest first, also those that are revoked or expired."""
    found = await services.api_keys.list(caller, after=read_key_cursor(cursor), limit=limit + 1)
    page = found[:limit]
    last = KeyPosition(page[-1].created_at, page[-1].id) if len(found) > limit else None
    return ApiKeyPage(
        data=[serialize_key(key) for key in page],
        next_cursor=key_cursor(last) if last is not None else None,
    )


@router.get("/{key_id}")
async def get_api_key(key_id: ApiKeyId, caller: CanReadKeys, services: ServicesDep) -> ApiKeyView:
    """Get a key, without its secret, and what it has spent this month."""
    return serialize_key(await services.api_keys.get(caller, key_id))


@router.patch("/{key_id}")
@declares(KeyExceedsOwn, ApiKeyEnded)
async def change_api_key(
    key_id: ApiKeyId, body: ApiKeyChange, caller: CanManageKeys, services: ServicesDep
) -> ApiKeyView:
    """Change what is given. Neither before nor after may the key do more than the one of this request.

    Of scopes, an edit only takes away.
    """
    return serialize_key(await services.api_keys.change(caller, key_id, given_by(body)))


@router.delete("/{key_id}", status_code=status.HTTP_204_NO_CONTENT)
async def revoke_api_key(key_id: ApiKeyId, caller: CanManageKeys, services: ServicesDep) -> None:
    """Revoke a key from its next request on; its open streams end within about two seconds."""
    await services.api_keys.revoke(caller, key_id)
