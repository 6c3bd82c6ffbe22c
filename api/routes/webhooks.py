"""Webhooks of providers."""

from fastapi import APIRouter, Request

from api.deps import ServicesDep
from api.http.client import client_of
from api.http.declarations import declares
from api.http.schemas.health import ReceivedView
from domain.errors import (
    DatabaseUnavailable,
    GenerationNotFound,
    SignatureInvalid,
    VerificationUnavailable,
)
from domain.url_signatures import read_callback_token

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
# Read by hand, as its signature is of its bytes.
_BODY = {
    "requestBody": {
        "required": True,
        "description": "As the provider documents it, whatever its content type.",
        "content": {"*/*": {"schema": {}}},
    }
}


@router.post("/{provider}/{generation_id}/{token}", openapi_extra=_BODY)
@declares(SignatureInvalid, GenerationNotFound, VerificationUnavailable, DatabaseUnavailable)
async def receive_webhook(
    provider: str, generation_id: str, token: str, request: Request, services: ServicesDep
) -> ReceivedView:
    """Store a provider's webhook and relay it. Repeats and late arrivals get the same response."""
    attempt = read_callback_token(services.keyring, generation_id, token)
    await client_of(request).mark_authenticated()
    if provider not in services.webhook_readers:
        raise SignatureInvalid
    await services.generation_service.accept_webhook(
        provider, attempt, services.webhook_readers[provider], request.headers, await request.body()
    )
    return ReceivedView()
