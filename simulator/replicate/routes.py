"""The routes of Replicate's API."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.core.faults.kinds import Phase
from simulator.core.faults.switches import Target
from simulator.core.jobs import Job
from simulator.core.provider import Context
from simulator.core.rejected import Rejected
from simulator.core.store import COMPLETED
from simulator.core.wire import answer
from simulator.replicate.errors import not_found, problem, throttled, unauthenticated
from simulator.replicate.listing import listed
from simulator.replicate.models import MODELS, Model, model_of
from simulator.replicate.responses import moment, prediction
from simulator.replicate.submit import SubmitHandler, read_object
from simulator.replicate.uploads import Uploads, described
from simulator.replicate.webhooks import Signer

COG_VERSION = "0.9.0"

Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """The routes, all with `Authorization: Bearer …` or `Token …`. wake: called when a webhook is due."""

    def __init__(
        self,
        context: Context,
        handler: SubmitHandler,
        uploads: Uploads,
        signer: Signer,
        wake: Callable[[], None],
    ) -> None:
        self._store = context.store
        self._switches = context.switches
        self._files = context.files
        self._options = context.options
        self._handler = handler
        self._uploads = uploads
        self._signer = signer
        self._wake = wake

    @property
    def all(self) -> list[Route]:
        model = "/v1/models/{owner}/{name}"
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/v1/predictions", self._create),
            ("GET", "/v1/predictions", self._list),
            ("GET", "/v1/predictions/{id}", self._get),
            ("POST", "/v1/predictions/{id}/cancel", self._cancel),
            ("POST", f"{model}/predictions", self._create_for_model),
            ("GET", f"{model}/versions/{{version}}", self._version),
            ("GET", model, self._model),
            ("POST", "/v1/files", self._upload),
            ("GET", "/v1/files", self._list_uploads),
            ("GET", "/v1/files/{id}", self._show_upload),
            ("DELETE", "/v1/files/{id}", self._remove_upload),
            ("GET", "/v1/account", self._account),
            ("GET", "/v1/webhooks/default/secret", self._secret),
        ]
        return [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in table]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                self._check_key(request)
                return await handler(request)
            except Rejected as refused:
                return refused.response()

        return guarded

    def _check_key(self, request: Request) -> None:
        """Raises Rejected."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        expected = self._options.key or key.strip()
        is_ours = hmac.compare_digest(key.strip().encode(), expected.encode())
        if scheme.lower() not in ("bearer", "token") or not key.strip() or not is_ours:
            if request.method == "POST":
                self._store.log("submit_rejected", None, "", status=401)
            raise unauthenticated()

    # Predictions

    async def _create(self, request: Request) -> Response:
        given = await read_object(request)
        model = model_of(given["version"]) if isinstance(given.get("version"), str) else None
        if model is None:
            detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
            raise problem(422, "Invalid version or not permitted", detail)
        return await self._handler.submit(request, model, given)

    async def _create_for_model(self, request: Request) -> Response:
        return await self._handler.submit(request, _model(request), await read_object(request))

    async def _list(self, request: Request) -> Response:
        return answer(await listed(self._store, self._files, request))

    async def _get(self, request: Request) -> Response:
        job = self._job(request)
        active = self._switches.active_faults(Phase.STATUS, Target(job.endpoint, job.prompt, job.id))
        if fault := active.get("status_429"):
            raise throttled(fault.number("retry_after"))
        if "status_500" in active:
            raise problem(500, "Internal server error", "An unexpected error occurred.")
        body = await self._now(job, request)
        if not job.is_open():
            self._store.log("result_served", job.id, job.prompt, status=200)
        return answer(body)

    async def _cancel(self, request: Request) -> Response:
        """Cancel a prediction; one that has ended does not change."""
        job = self._job(request)
        if job.is_open():
            active = self._switches.active_faults(Phase.CANCEL, Target(job.endpoint, job.prompt, job.id))
            if "ignore_cancel" not in active:
                has_webhook = job.webhook_url is not None
                tells = has_webhook and COMPLETED in job.arguments["webhook_events_filter"]
                self._store.cancel_job(job.id, tells=tells)
                self._wake()
        self._store.log("cancel", job.id, job.prompt, status=200)
        return answer(await self._now(self._store.job(job.id) or job, request))

    def _job(self, request: Request) -> Job:
        job = self._store.job(request.path_params["id"])
        if job is None:
            raise not_found()
        return job

    async def _now(self, job: Job, request: Request) -> dict[str, Any]:
        return await prediction(job, self._files, self._files.base_url(request))

    # Models

    async def _model(self, request: Request) -> Response:
        model = _model(request)
        owner, _, name = model.name.partition("/")
        body = {
            "url": f"https://replicate.com/{model.name}",
            "owner": owner,
            "name": name,
            "description": "Simulated.",
            "visibility": "public",
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": 1,
            "cover_image_url": None,
            "default_example": None,
            "latest_version": _version_document(model),
        }
        return answer(body)

    async def _version(self, request: Request) -> Response:
        model = _model(request)
        if request.path_params["version"] != model.version:
            raise not_found()
        return answer(_version_document(model))

    # Files, account, secret

    async def _upload(self, request: Request) -> Response:
        record = await self._uploads.add(request)
        return answer(described(record, self._files.base_url(request)), 201)

    async def _list_uploads(self, request: Request) -> Response:
        base_url = self._files.base_url(request)
        results = [described(record, base_url) for record in self._uploads.newest()]
        return answer({"next": None, "previous": None, "results": results})

    async def _show_upload(self, request: Request) -> Response:
        record = self._uploads.get(request.path_params["id"])
        return answer(described(record, self._files.base_url(request)))

    async def _remove_upload(self, request: Request) -> Response:
        self._uploads.remove(request.path_params["id"])
        return Response(status_code=204)

    async def _account(self, _request: Request) -> Response:
        name = self._options.user_id
        return answer({"type": "user", "username": name, "name": name, "github_url": None})

    async def _secret(self, _request: Request) -> Response:
        return answer({"key": self._signer.secret})


def _model(request: Request) -> Model:
    model = MODELS.get(f"{request.path_params['owner']}/{request.path_params['name']}")
    if model is None:
        raise not_found()
    return model


def _version_document(model: Model) -> dict[str, Any]:
    return {
        "id": model.version,
        "created_at": moment(0),
        "cog_version": COG_VERSION,
        "openapi_schema": model.schema(),
    }
