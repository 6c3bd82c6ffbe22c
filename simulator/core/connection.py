"""Cuts a connection instead of responding, which ASGI cannot express."""

import asyncio

from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol


class CuttableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which gives each request its connection's transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def cut(request: Request) -> None:
    """Close the connection at once, without sending what is buffered."""
    transport: asyncio.Transport = request.scope["state"]["transport"]
    transport.abort()


def close(request: Request) -> None:
    """Close the connection when what was written so far has been sent."""
    transport: asyncio.Transport = request.scope["state"]["transport"]
    transport.close()
