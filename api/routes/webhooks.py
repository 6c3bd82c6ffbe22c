"""Where providers call back."""

from fastapi import APIRouter, Request

from api.deps import PartsDep
from domain.errors import SignatureInvalid
from domain.url_signatures import read_callback_token

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.post("/{provider}/{generation_id}/{token}")
async def receive_webhook(
    provider: str, generation_id: str, token: str, request: Request, parts: PartsDep
) -> dict[str, str]:
    """Keep a provider's report and pass it on. Repeats and late arrivals are answered the same."""
    attempt = read_callback_token(parts.master_key, generation_id, token)
    if provider not in parts.readers:
        raise SignatureInvalid
    await parts.intake.receive(
        provider, attempt, parts.readers[provider], request.headers, await request.body()
    )
    return {"status": "received"}
