"""Serves the files of results, as a provider's CDN does: without a key, drawn at each request."""

import asyncio
import hashlib
import hmac
import io
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from simulator.core.faults.kinds import Phase
from simulator.core.faults.switches import FaultSwitches, Target
from simulator.core.images.bodies import HTML, sent
from simulator.core.images.render import CONTENT_TYPES, draw
from simulator.core.jobs import Job, State
from simulator.core.store import Store


@dataclass(frozen=True)
class Addresses:
    """The form of a provider's result addresses.

    lifetime_seconds: how long they are valid after the job's end; None means always.
    key: what they are signed with; None leaves them unsigned.
    """

    lifetime_seconds: float | None = None
    key: bytes | None = None


class Files:
    """Creates result addresses, and draws and serves their files."""

    def __init__(
        self, store: Store, switches: FaultSwitches, public_url: str | None, addresses: Addresses
    ) -> None:
        self._store = store
        self._switches = switches
        self._public_url = public_url
        self._addresses = addresses
        self._painters = ThreadPoolExecutor(max_workers=2, thread_name_prefix="painter")

    def close(self) -> None:
        self._painters.shutdown(wait=False, cancel_futures=True)

    @property
    def routes(self) -> list[Route]:
        return [Route("/files/{job_id}/{name}", self._serve, methods=["GET"])]

    def base_url(self, request: Request) -> str:
        """Return the base URL by which the client reached the server, without a final slash."""
        return self._public_url or f"{request.url.scheme}://{request.url.netloc}"

    def mint(self, job: Job, base_url: str) -> list[str]:
        """Return an address for each image of a job, valid unless the fault applies."""
        active = self._switches.active_faults(Phase.MINT, Target(job.endpoint, job.prompt, job.id))
        expired = active.get("expired_url")
        dead = [] if expired is None else [f"expired={expired.number('status'):.0f}"]
        paths = [f"/files/{job.id}/{index}.{job.picture.image_format}" for index in range(job.picture.count)]
        return [f"{base_url}{path}{_query([*self._signed(job, path), *dead])}" for path in paths]

    def is_gone(self, job: Job) -> bool:
        """Return whether the job's result has expired."""
        ended_at, lifetime_seconds = job.ended_at(), self._addresses.lifetime_seconds
        return (
            ended_at is not None
            and lifetime_seconds is not None
            and time.time() >= ended_at + lifetime_seconds
        )

    def _signed(self, job: Job, path: str) -> list[str]:
        if self._addresses.key is None:
            return []
        end = int((job.ended_at() or 0) + (self._addresses.lifetime_seconds or 0))
        return [f"se={end}", f"sig={_signature(self._addresses.key, path, str(end))}"]

    def _is_refused(self, request: Request) -> bool:
        """Return whether the address has no valid signature."""
        key, query = self._addresses.key, request.query_params
        if key is None:
            return False
        expected = _signature(key, request.url.path, query.get("se", ""))
        return not hmac.compare_digest(expected.encode(), query.get("sig", "").encode())

    async def image(self, job: Job, index: int) -> bytes:
        black, inputs = job.fault("nsfw") is not None, self._store.inputs(job.id)

        def paint() -> bytes:
            pictures = [Image.open(io.BytesIO(png)) for png in inputs]
            return draw(job.picture, job.prompt, job.id, index, black=black, inputs=pictures)

        return await asyncio.get_running_loop().run_in_executor(self._painters, paint)

    async def _serve(self, request: Request) -> Response:
        job = self._store.job(request.path_params["job_id"])
        index = None if job is None else _index(job, request.path_params["name"])
        if job is None or index is None or job.state() is not State.DONE:
            return PlainTextResponse("Not found", status_code=404)
        expired = request.query_params.get("expired")
        if expired is not None or self._is_refused(request) or self.is_gone(job):
            is_missing = expired == "404" or (expired is None and self._addresses.key is None)
            gone = PlainTextResponse("Expired", status_code=404 if is_missing else 403)
            return self._logged(job, index, gone)
        faults = self._switches.active_faults(Phase.FILE, Target(job.endpoint, job.prompt, job.id))
        content_type = CONTENT_TYPES[job.picture.image_format]
        if "wrong_bytes" in faults:
            return self._logged(job, index, Response(HTML, media_type=content_type))
        body = await self.image(job, index)
        return self._logged(job, index, sent(request, body, content_type, faults))

    def _logged(self, job: Job, index: int, response: Response) -> Response:
        self._store.log("file_served", job.id, job.prompt, index=index, status=response.status_code)
        return response


def _query(parts: list[str]) -> str:
    return "?" + "&".join(parts) if parts else ""


def _signature(key: bytes, path: str, end: str) -> str:
    return hmac.new(key, f"{path}\n{end}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _index(job: Job, name: str) -> int | None:
    number, _, extension = name.partition(".")
    if extension != job.picture.image_format or not (
        number.isascii() and number.isdecimal() and len(number) < 4
    ):
        return None
    return int(number) if int(number) < job.picture.count else None
