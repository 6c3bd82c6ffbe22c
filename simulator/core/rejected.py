"""A request that a provider rejects, with the provider's response."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from simulator.core.wire import dump


class Rejected(Exception):
    """A response without a job or images: nothing is charged. Its status may be 200."""

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
