"""The routes of Black Forest Labs' API. Its regional host has the same ones."""

import hmac
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.bfl import responses
from simulator.bfl.errors import over_limit, rejection
from simulator.bfl.submit import SubmitHandler
from simulator.core.faults.kinds import Phase
from simulator.core.faults.switches import Target
from simulator.core.provider import Context
from simulator.core.rejected import Rejected
from simulator.core.wire import answer

CREDITS = 100_000.0

Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """The routes, all with an `x-key`. There is no cancel and no list."""

    def __init__(self, context: Context, handler: SubmitHandler) -> None:
        self._store = context.store
        self._switches = context.switches
        self._files = context.files
        self._options = context.options
        self._handler = handler

    @property
    def all(self) -> list[Route]:
        return [
            Route("/v1/get_result", self._guarded(self._result), methods=["GET"]),
            Route("/v1/credits", self._guarded(self._credits), methods=["GET"]),
            Route("/v1/{model}", self._guarded(self._handler.submit), methods=["POST"]),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                self._check_key(request)
                return await handler(request)
            except Rejected as refused:
                return answer(refused.body, refused.status)

        return guarded

    def _check_key(self, request: Request) -> None:
        """Raises Rejected."""
        key = request.headers.get("x-key", "")
        expected = self._options.key or key
        if key and hmac.compare_digest(key.encode(), expected.encode()):
            return
        refused = rejection(401, "Invalid API key") if key else rejection(403, "Not authenticated")
        if request.method == "POST":
            self._store.log("submit_rejected", None, "", status=refused.status)
        raise refused

    async def _result(self, request: Request) -> Response:
        task_id = request.query_params.get("id", "")
        job = self._store.job(task_id)
        if job is None:
            return answer(responses.not_found(task_id), 404)
        active = self._switches.active_faults(Phase.STATUS, Target(job.endpoint, job.prompt, job.id))
        if throttled := active.get("status_429"):
            raise over_limit("Too many requests.", throttled.number("retry_after"))
        if "status_500" in active:
            raise rejection(500, "Internal server error")
        if lost := active.get("task_not_found"):
            return answer(responses.not_found(task_id), 200 if lost.number("status") == 200 else 404)
        if "wrong_region" in active and not self._is_regional(request):
            return answer(responses.not_found(task_id), 404)
        body = responses.result(job, self._files, self._files.base_url(request))
        if not job.is_open():
            self._store.log("result_served", job.id, job.prompt, status=200)
        return answer(body)

    def _is_regional(self, request: Request) -> bool:
        """Return whether the request came to the polling port."""
        server = request.scope.get("server")
        return server is not None and server[1] == self._options.polling_port

    async def _credits(self, _request: Request) -> Response:
        return answer({"credits": round(CREDITS - self._store.spent(), 2)})
