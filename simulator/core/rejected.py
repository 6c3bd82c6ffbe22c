"""A request that a provider turns away, with the provider's own answer."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from simulator.core.wire import dump


class Rejected(Exception):
    """The answer is not a job and has no images: nothing is charged. Its status may still be 200."""

    def __init__(
        self,
        status: int,
        body: Any,
        headers: Mapping[str, str] | None = None,
        *,
        media_type: str = "application/json",
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = dict(headers or {})
        self.media_type = media_type

    def response(self) -> Response:
        return Response(dump(self.body), self.status, self.headers, media_type=self.media_type)
