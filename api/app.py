"""The HTTP application: its routes, and the middleware around them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fastapi import FastAPI

from api.http import problems
from api.http.body_limits import BodyLimitMiddleware
from api.http.rate_limit_headers import RateLimitHeadersMiddleware
from api.http.request_log import RequestLogMiddleware
from api.http.security_headers import SecurityHeadersMiddleware
from api.metrics import RequestMetricsMiddleware
from api.routes import credits, files, generations, health, images, models, webhooks

# What multipart puts around a file.
_MULTIPART_OVERHEAD_BYTES = 10_000
# Providers report addresses of images, not images.
_MAX_WEBHOOK_BYTES = 2_000_000
_BODY_TIMEOUT_SECONDS = 60.0

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class BodyLimits:
    """Caps of request bodies. max_input_bytes: of an uploaded image."""

    max_body_bytes: int
    max_input_bytes: int


def build_app(limits: BodyLimits, *, lifespan: Lifespan | None = None) -> FastAPI:
    """Build the application. `lifespan` sets `app.state.services`; without it that is the caller's task."""
    app = FastAPI(
        title="Darkroom",
        summary="AI image generation as a durable workflow.",
        lifespan=lifespan,
        # A redirect would name the host that the client says it called.
        redirect_slashes=False,
    )
    for routes in (generations, images, files, models, credits, webhooks, health):
        app.include_router(routes.router)
    problems.install(app)
    caps = {
        files.router.prefix: limits.max_input_bytes + _MULTIPART_OVERHEAD_BYTES,
        webhooks.router.prefix: _MAX_WEBHOOK_BYTES,
    }
    app.add_middleware(
        BodyLimitMiddleware,
        max_bytes=limits.max_body_bytes,
        by_prefix=caps,
        whole_within_seconds=_BODY_TIMEOUT_SECONDS,
    )
    app.add_middleware(RateLimitHeadersMiddleware)
    app.add_middleware(RequestMetricsMiddleware)
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(RequestLogMiddleware)
    return app
