"""Health, readiness and metrics. Each has a router, as `api/app.py` may serve it on one port or both."""

from fastapi import APIRouter, Response, status
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.deps import ServicesDep
from api.http.schemas.health import HealthView, ReadinessView

health = APIRouter(tags=["health"])
readiness = APIRouter(tags=["health"])
metrics = APIRouter(tags=["health"])


@health.get("/healthz")
async def healthz() -> HealthView:
    """Return 200 while the process responds."""
    return HealthView()


@readiness.get("/readyz", responses={503: {"model": ReadinessView}})
async def readyz(services: ServicesDep, response: Response) -> ReadinessView:
    """Return what is reachable: 503 without PostgreSQL, otherwise 200, `degraded` or not."""
    is_ready, states = await services.readiness.check_all()
    if not is_ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    degraded = "down" in states.values()
    status_now = ("degraded" if degraded else "ok") if is_ready else "unavailable"
    return ReadinessView.model_validate({"status": status_now, "dependencies": states})


@metrics.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def read_metrics(services: ServicesDep) -> Response:
    """Return metrics in Prometheus' text format."""
    await services.state_gauges.refresh()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
