"""Is the process alive, can it serve, what does it count?"""

from fastapi import APIRouter, Response, status
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.deps import PartsDep

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(parts: PartsDep, response: Response) -> dict[str, object]:
    """503 only without PostgreSQL. With another part down the API still accepts, and says `degraded`."""
    is_ready, states = await parts.readiness.look()
    if not is_ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    degraded = "down" in states.values()
    return {
        "status": ("degraded" if degraded else "ok") if is_ready else "unavailable",
        "dependencies": states,
    }


@router.get("/metrics")
async def metrics() -> Response:
    """In Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
