"""Ids in paths. Each brings its 404: what cannot be an id is answered like one that nobody has."""

import re
from typing import Annotated

from fastapi import Depends

from api.http.declarations import declares
from domain.errors import (
    ApiKeyNotFound,
    DeliveryNotFound,
    FileNotFound,
    GenerationNotFound,
    WebhookEndpointNotFound,
)
from domain.input_files import FILE_ID

_KEY_ID = re.compile("[0-9a-f]{16}")


@declares(GenerationNotFound)
async def _generation_id(generation_id: str) -> str:
    """Return the id from the path. Raises GenerationNotFound for a NUL, which PostgreSQL cannot compare."""
    if "\0" in generation_id:
        raise GenerationNotFound
    return generation_id


@declares(FileNotFound)
async def _file_id(file_id: str) -> str:
    if not FILE_ID.fullmatch(file_id):
        raise FileNotFound
    return file_id


@declares(WebhookEndpointNotFound)
async def _webhook_endpoint_id(endpoint_id: str) -> str:
    if "\0" in endpoint_id:
        raise WebhookEndpointNotFound
    return endpoint_id


@declares(DeliveryNotFound)
async def _delivery_id(delivery_id: str) -> str:
    if "\0" in delivery_id:
        raise DeliveryNotFound
    return delivery_id


@declares(ApiKeyNotFound)
async def _api_key_id(key_id: str) -> str:
    if not _KEY_ID.fullmatch(key_id):
        raise ApiKeyNotFound
    return key_id


FileId = Annotated[str, Depends(_file_id)]
GenerationId = Annotated[str, Depends(_generation_id)]
WebhookEndpointId = Annotated[str, Depends(_webhook_endpoint_id)]
DeliveryId = Annotated[str, Depends(_delivery_id)]
ApiKeyId = Annotated[str, Depends(_api_key_id)]
