"""Serves the results' files, as a provider's CDN does: no key needed, every request draws anew."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from simulator.connection import close
from simulator.drawing import CONTENT_TYPES, draw
from simulator.faults import Fault, FaultSwitches, Phase, Target
from simulator.jobs import Job, State
from simulator.store import Store

_CHUNKS = 20
_HTML = (
    b"<!doctype html><html><head><title>Just a moment</title></head><body>Checking your browser</body></html>"
)


class Files:
    """Draws, mints addresses, serves."""

    def __init__(self, store: Store, switches: FaultSwitches, public_url: str | None) -> None:
        self._store = store
        self._switches = switches
        self._public_url = public_url
        self._painters = ThreadPoolExecutor(max_workers=2, thread_name_prefix="painter")

    def close(self) -> None:
        self._painters.shutdown(wait=False, cancel_futures=True)

    @property
    def routes(self) -> list[Route]:
        return [Route("/files/{job_id}/{name}", self._serve, methods=["GET"])]

    def base_url(self, request: Request) -> str:
        """Where this client reaches us, without a slash at the end."""
        return self._public_url or f"{request.url.scheme}://{request.url.netloc}"

    def mint(self, job: Job, base_url: str) -> list[str]:
        """An address for each image of a job, good from now on unless the fault strikes."""
        struck = self._switches.strike(Phase.MINT, Target(job.endpoint, job.prompt, job.id))
        expired = struck.get("expired_url")
        suffix = "" if expired is None else f"?expired={expired.number('status'):.0f}"
        names = [f"{index}.{job.picture.image_format}" for index in range(job.picture.count)]
        return [f"{base_url}/files/{job.id}/{name}{suffix}" for name in names]

    async def image(self, job: Job, index: int) -> bytes:
        loop, black = asyncio.get_running_loop(), job.fault("nsfw") is not None
        return await loop.run_in_executor(
            self._painters, lambda: draw(job.picture, job.prompt, job.id, index, black=black)
        )

    async def _serve(self, request: Request) -> Response:
        job = self._store.job(request.path_params["job_id"])
        index = None if job is None else _index(job, request.path_params["name"])
        if job is None or index is None or job.state() is not State.DONE:
            return PlainTextResponse("Not found", status_code=404)
        if (expired := request.query_params.get("expired")) is not None:
            return self._logged(
                job, index, PlainTextResponse("Expired", status_code=404 if expired == "404" else 403)
            )
        faults = self._switches.strike(Phase.FILE, Target(job.endpoint, job.prompt, job.id))
        content_type = CONTENT_TYPES[job.picture.image_format]
        if "wrong_bytes" in faults:
            return self._logged(job, index, Response(_HTML, media_type=content_type))
        body = await self.image(job, index)
        return self._logged(job, index, _answer(request, body, content_type, faults))

    def _logged(self, job: Job, index: int, response: Response) -> Response:
        self._store.log("file_served", job.id, job.prompt, index=index, status=response.status_code)
        return response


def _index(job: Job, name: str) -> int | None:
    number, _, extension = name.partition(".")
    if extension != job.picture.image_format or not (
        number.isascii() and number.isdecimal() and len(number) < 4
    ):
        return None
    return int(number) if int(number) < job.picture.count else None


def _answer(request: Request, body: bytes, content_type: str, faults: dict[str, Fault]) -> Response:
    truncated, slow = faults.get("truncated_body"), faults.get("slow_body")
    if truncated is not None and truncated.text("length") == "none":
        # Ended properly and with no length to compare with: only decoding shows that half of it is missing.
        return StreamingResponse(_chunks(body[: len(body) // 2], 0), media_type=content_type)
    headers = {"content-length": str(len(body))}
    if truncated is not None:
        return StreamingResponse(_cut_off(request, body), headers=headers, media_type=content_type)
    if slow is not None:
        return StreamingResponse(
            _chunks(body, slow.number("seconds")), headers=headers, media_type=content_type
        )
    return Response(body, media_type=content_type)


async def _chunks(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    size = max(1, -(-len(body) // _CHUNKS))
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(seconds / _CHUNKS)


async def _cut_off(request: Request, body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    close(request)
    # Goes nowhere, but the server would complain of a body shorter than announced.
    yield body[len(body) // 2 :]
