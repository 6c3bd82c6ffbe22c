"""Health, readiness and metrics. Each has a router, as `api/app.py` may serve it on one port or both."""

from fastapi import APIRouter, Response, status
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.deps import ServicesDep

health = APIRouter(tags=["health"])
readiness = APIRouter(tags=["health"])
metrics = APIRouter(tags=["health"])


@health.get("/healthz")
async def healthz() -> dict[str, str]:
    """Return 200 while the process responds."""
    return {"status": "ok"}


@readiness.get("/readyz")
async def readyz(services: ServicesDep, response: Response) -> dict[str, object]:
    """Return what is reachable: 503 without PostgreSQL, otherwise 200, `degraded` or not."""
    is_ready, states = await services.readiness.check_all()
    if not is_ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    degraded = "down" in states.values()
    return {
        "status": ("degraded" if degraded else "ok") if is_ready else "unavailable",
        "dependencies": states,
    }


@metrics.get("/metrics")
async def read_metrics(services: ServicesDep) -> Response:
    """Return metrics in Prometheus' text format."""
    await services.state_gauges.refresh()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
