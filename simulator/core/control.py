"""The control plane under /_sim: health, log, jobs and faults. It knows no provider."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator.core.faults.kinds import FaultKinds
from simulator.core.faults.switches import Fault, FaultInvalid, parse_fault
from simulator.core.store import Store
from simulator.core.wire import BodyInvalid, answer, read_json

MAX_LIMIT = 10_000
MAX_RULES = 1_000
MAX_BODY_BYTES = 100_000


class Control:
    """The routes. is_sending: whether the webhook loop runs; without it the server is unhealthy.

    providers: all that run in this process, and where.
    """

    def __init__(
        self,
        store: Store,
        provider: str,
        kinds: FaultKinds,
        is_sending: Callable[[], bool],
        providers: list[dict[str, str]],
    ) -> None:
        self._providers = providers
        self._store = store
        self._kinds = kinds
        self._provider = provider
        self._is_sending = is_sending

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/_sim/health", self._health, methods=["GET"]),
            Route("/_sim/providers", self._list_providers, methods=["GET"]),
            Route("/_sim/log", self._log, methods=["GET"]),
            Route("/_sim/jobs", self._jobs, methods=["GET"]),
            Route("/_sim/faults", self._list_faults, methods=["GET"]),
            Route("/_sim/faults", self._put_fault, methods=["PUT"]),
            Route("/_sim/faults", self._clear_faults, methods=["DELETE"]),
        ]

    async def _health(self, _request: Request) -> Response:
        healthy = self._is_sending()
        body = {
            "status": "ok" if healthy else "broken",
            "provider": self._provider,
            "webhooks_pending": self._store.pending_count(),
        }
        return answer(body, 200 if healthy else 503)

    async def _list_providers(self, _request: Request) -> Response:
        return answer({"providers": self._providers})

    async def _log(self, request: Request) -> Response:
        try:
            after = _whole(request, "after", 0)
            limit = min(MAX_LIMIT, _whole(request, "limit", 1_000))
        except ValueError as error:
            return _invalid(str(error))
        return answer({"entries": self._store.entries(after, limit)})

    async def _jobs(self, request: Request) -> Response:
        try:
            limit = min(MAX_LIMIT, _whole(request, "limit", 1_000))
        except ValueError as error:
            return _invalid(str(error))
        jobs = [
            {
                "request_id": job.id,
                "endpoint": job.endpoint,
                "prompt": job.prompt,
                "state": job.state(),
                "created_at": job.created_at,
                "ends_at": job.ends_at,
                "webhook": webhook,
                "faults": [fault.name for fault in job.faults],
            }
            for job, webhook in self._store.jobs(limit)
        ]
        return answer({"jobs": jobs})

    async def _list_faults(self, _request: Request) -> Response:
        return answer({"faults": self._faults()})

    async def _put_fault(self, request: Request) -> Response:
        if len(self._store.rules()) >= MAX_RULES:
            return _invalid(f"there are {MAX_RULES} faults already")
        try:
            rule = _parse_rule(self._kinds, await read_json(request, MAX_BODY_BYTES))
        except (FaultInvalid, BodyInvalid) as error:
            return _invalid(str(error))
        self._store.add_rule(*rule)
        return answer({"faults": self._faults()})

    async def _clear_faults(self, _request: Request) -> Response:
        self._store.clear_rules()
        return answer({"faults": []})

    def _faults(self) -> list[dict[str, Any]]:
        return [
            {
                "match": {"prompt": rule.prompt, "endpoint": rule.endpoint},
                "fault": rule.fault.name,
                "times": rule.fault.times,
                "fired": rule.fired,
                **rule.fault.values,
            }
            for rule in self._store.rules()
        ]


def _parse_rule(kinds: FaultKinds, given: object) -> tuple[Fault, str | None, str | None]:
    if not isinstance(given, dict) or not isinstance(given.get("fault"), str):
        raise FaultInvalid("`fault` must name a fault")
    match = given.get("match") or {}
    if not isinstance(match, dict) or match.keys() - {"prompt", "endpoint"}:
        raise FaultInvalid("`match` takes `prompt` and `endpoint`")
    values = {key: value for key, value in given.items() if key not in ("match", "fault")}
    if values.get("times") is None:
        values.pop("times", None)
    fault = parse_fault(kinds, given["fault"], values)
    return fault, _text(match, "prompt"), _text(match, "endpoint")


def _text(match: dict[str, Any], key: str) -> str | None:
    value = match.get(key)
    if value is not None and not isinstance(value, str):
        raise FaultInvalid(f"`match.{key}` must be a text")
    return None if value is None else value.encode("utf-8", "replace").decode()


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise ValueError(f"{name} must be a whole number")
    return int(text)


def _invalid(detail: str) -> Response:
    return answer({"detail": detail}, 422)
