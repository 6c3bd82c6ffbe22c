"""The HTTP applications: their routes, and the middleware around them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from fastapi import APIRouter, FastAPI

from api.deps import Services
from api.http import problems
from api.http.batch_bodies import MAX_BODY_BYTES as MAX_BATCH_BODY_BYTES
from api.http.body_limits import BodyLimitMiddleware
from api.http.budget_headers import BudgetHeadersMiddleware
from api.http.deprecations import DeprecationMiddleware
from api.http.load_limits import LoadLimitMiddleware, LoadLimits
from api.http.methods import MethodsMiddleware
from api.http.openai_errors import OpenAIErrorsMiddleware
from api.http.openapi import VERSION, DescribedAPI, merged, operation_id
from api.http.operator_door import OperatorDoorMiddleware
from api.http.rate_limit_headers import RateLimitHeadersMiddleware
from api.http.request_log import RequestLogMiddleware
from api.http.security_headers import SecurityHeadersMiddleware
from api.http.upload_limits import MULTIPART_OVERHEAD_BYTES
from api.metrics import RequestMetricsMiddleware
from api.routes import (
    api_keys,
    batch_results,
    batches,
    credits,
    deliveries,
    estimates,
    events,
    file_content,
    files,
    generation_list,
    generations,
    health,
    image_lists,
    images,
    lots,
    models,
    openai_images,
    operators,
    reference,
    retries,
    session,
    statements,
    webhook_endpoints,
    webhooks,
)

# Providers report addresses of images, not images.
_MAX_WEBHOOK_BYTES = 2_000_000
_BODY_TIMEOUT_SECONDS = 60.0
# Of operators' routes: references and numbers.
_MAX_OPERATORS_BODY_BYTES = 10_000
# Of the largest size, in one form: no model takes more bytes.
_MAX_EDIT_IMAGES = 4
# What is not for clients; the internal port serves all of it.
_ROUTERS: dict[str, Callable[[reference.Describe], APIRouter]] = {
    "/readyz": lambda _: health.readiness,
    "/metrics": lambda _: health.metrics,
    "/docs": reference.page_router,
    "/openapi.json": reference.openapi_router,
}
PUBLIC_PATHS = ("/readyz", "/docs", "/openapi.json")


_API = TypeVar("_API", bound=DescribedAPI)


class PublicAPI(DescribedAPI):
    """The application for clients. operators: another one, of what only operators' keys lead to."""

    operators: DescribedAPI

    def serve(self, services: Services) -> None:
        """Set what is behind the routes of both."""
        self.state.services = self.operators.state.services = services


@dataclass(frozen=True)
class BodyLimits:
    """Caps of request bodies. max_input_bytes: of an image; max_batch_file_bytes: of a batch's lines."""

    max_body_bytes: int
    max_input_bytes: int
    max_batch_file_bytes: int = 0

    def by_prefix(self) -> dict[str, int]:
        """Return the caps that differ, by the beginning of the path."""
        # Of an image it is less, which the route knows.
        largest_file = max(self.max_input_bytes, self.max_batch_file_bytes)
        return {
            files.router.prefix: largest_file + MULTIPART_OVERHEAD_BYTES,
            webhooks.router.prefix: _MAX_WEBHOOK_BYTES,
            batches.router.prefix: MAX_BATCH_BODY_BYTES,
        }


def build_app(
    limits: BodyLimits,
    *,
    load: LoadLimits | None = None,
    public_paths: Iterable[str] = PUBLIC_PATHS,
    public_url: str = "/",
) -> PublicAPI:
    """Build the application for clients, and for operators' systems. The caller has it `serve`.

    public_paths: which of `/readyz`, `/metrics`, `/docs` and `/openapi.json` it serves too. public_url:
    where clients reach it, for its description.
    """
    app = _bare_app(PublicAPI)
    app.public_url = public_url
    client_routes = (
        *(generations, generation_list, estimates, retries, images, image_lists, events, files),
        *(models, credits, lots, statements, session, api_keys, webhooks, webhook_endpoints, deliveries),
        *(openai_images, batches, batch_results, file_content),
    )
    for routes in client_routes:
        app.include_router(routes.router)
    app.include_router(health.health)
    for path in public_paths:
        app.include_router(_ROUTERS[path](app.openapi))
    app.operators = _operators_app(public_url)
    app.add_middleware(MethodsMiddleware)
    # Before anything that would tell a path that is there from others.
    app.add_middleware(OperatorDoorMiddleware, operators=app.operators)
    app.add_middleware(
        BodyLimitMiddleware,
        max_bytes=limits.max_body_bytes,
        by_prefix=limits.by_prefix(),
        forms_by_prefix={openai_images.EDITS: _MAX_EDIT_IMAGES * limits.max_input_bytes},
        whole_within_seconds=_BODY_TIMEOUT_SECONDS,
    )
    app.add_middleware(LoadLimitMiddleware, limits=load or LoadLimits())
    app.add_middleware(OpenAIErrorsMiddleware)
    app.add_middleware(BudgetHeadersMiddleware)
    app.add_middleware(RateLimitHeadersMiddleware)
    app.add_middleware(DeprecationMiddleware)
    app.add_middleware(RequestMetricsMiddleware)
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(RequestLogMiddleware)
    return app


def build_internal_app(public: PublicAPI) -> FastAPI:
    """Build what operators and their tools read, about the same services: no route of it needs a key."""
    app = _bare_app(DescribedAPI)
    describe = partial(merged, public.openapi, public.operators.openapi)
    app.include_router(health.health)
    for router in (_ROUTERS | {"/docs": partial(reference.page_router, tries=False)}).values():
        app.include_router(router(describe))
    app.add_middleware(MethodsMiddleware)
    app.add_middleware(SecurityHeadersMiddleware)
    return app


def _operators_app(public_url: str) -> DescribedAPI:
    """Build what is behind the door of operators: api/http/operator_door.py."""
    app = _bare_app(DescribedAPI)
    app.public_url = public_url
    app.include_router(operators.router)
    app.add_middleware(MethodsMiddleware)
    app.add_middleware(
        BodyLimitMiddleware,
        max_bytes=_MAX_OPERATORS_BODY_BYTES,
        by_prefix={},
        whole_within_seconds=_BODY_TIMEOUT_SECONDS,
    )
    return app


def _bare_app(kind: type[_API]) -> _API:
    app = kind(
        title="Darkroom",
        summary="AI image generation as a durable workflow.",
        version=VERSION,
        generate_unique_id_function=operation_id,
        # FastAPI's own pages load their scripts from another host.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # A redirect would name the host that the client says it called.
        redirect_slashes=False,
    )
    problems.install(app)
    return app
