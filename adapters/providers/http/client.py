"""The HTTP client for providers' APIs: bounded in time, in size, and in trust."""

from adapters.transport.http import HttpClient, Timeouts, open_client

_MAX_RESPONSE_BYTES = 2_000_000
_MAX_CONNECTIONS = 100


def provider_client(
    *,
    read_seconds: float = 20.0,
    max_connections: int = _MAX_CONNECTIONS,
    max_response_bytes: int | None = _MAX_RESPONSE_BYTES,
) -> HttpClient:
    """Return a client of its own.

    read_seconds: how long a response may pause; minutes where it carries the images themselves.
    max_connections: at least as many as calls that may wait at once. max_response_bytes: None where the
    caller caps the response.
    """
    timeouts = Timeouts(connect_seconds=5, read_seconds=read_seconds, write_seconds=20, pool_seconds=5)
    return open_client(timeouts, max_connections=max_connections, max_response_bytes=max_response_bytes)
