"""The two ways to call a provider's API: a submit, which costs money, and a request that may be repeated."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx

from adapters.providers.http.gateways import field_of, wrapped_error
from adapters.providers.http.responses import is_token, json_object, retry_after_seconds
from domain.errors import ProviderRefused, ProviderThrottled, ProviderUnavailable, SubmitAmbiguous

UNSENDABLE = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL)
_ID_FIELDS = ("id", "request_id")
# A timeout in front of the provider, or a connection closed on it: the provider may have the request.
_ABANDONED_STATUSES = (httpx.codes.REQUEST_TIMEOUT, 499)


async def send_submit(http: httpx.AsyncClient, name: str, url: httpx.URL, **content: Any) -> httpx.Response:
    """POST once. Return any response but a 429, a 408 or a 499; for an error in a 200, that error.

    Raises ProviderThrottled, ProviderUnavailable if nothing was sent, ProviderRefused if our own settings
    make it impossible, and SubmitAmbiguous if something was sent and no response came back.
    """
    try:
        response = await http.post(url, **content)
    except UNSENDABLE as error:
        raise unsendable(name, error) from error
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise ProviderUnavailable(f"{name}: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise SubmitAmbiguous(f"{name}: {type(error).__name__}") from error
    response = _unwrapped(response)
    _raise_if_throttled(name, response)
    if response.status_code in _ABANDONED_STATUSES:
        raise SubmitAmbiguous(f"{name}: {response.status_code}")
    return response


def unsendable(name: str, error: Exception) -> ProviderRefused | SubmitAmbiguous:
    """Return what an error of the HTTP library about our own request means.

    An address or a header that it refuses is found before a byte has left: our settings are wrong, and
    nothing was taken. Whatever else breaks its rules may do so in the middle of the request.
    """
    if isinstance(error, httpx.LocalProtocolError) and not str(error).startswith("Illegal header"):
        return SubmitAmbiguous(f"{name}: {type(error).__name__}")
    return ProviderRefused(f"{name}: the request cannot be sent: {type(error).__name__}")


def _unwrapped(response: httpx.Response) -> httpx.Response:
    body = json_object(response) if response.is_success else {}
    if any(field_of(body, name) for name in _ID_FIELDS):
        return response
    return wrapped_error(response.headers, body) or response


def _never(_response: httpx.Response) -> bool:
    return False


async def send_repeatable(
    http: httpx.AsyncClient,
    name: str,
    method: str,
    url: httpx.URL,
    *,
    is_job_error: Callable[[httpx.Response], bool] = _never,
    **content: Any,
) -> httpx.Response:
    """Send a request that is safe to repeat. Raises ProviderUnavailable, ProviderThrottled.

    is_job_error: whether a 5xx is the job's own end and is to be returned.
    """
    try:
        response = await http.request(method, url, **content)
    except httpx.HTTPError as error:
        raise ProviderUnavailable(f"{name}: {type(error).__name__}") from error
    _raise_if_throttled(name, response)
    if response.is_redirect or (response.is_server_error and not is_job_error(response)):
        raise unavailable(name, response)
    return response


def unavailable(name: str, response: httpx.Response) -> ProviderUnavailable:
    """Return the error for a response that says nothing about the job: try again later."""
    return ProviderUnavailable(
        f"{name}: {response.status_code}", retry_after_seconds=retry_after_seconds(response)
    )


def join_path(base: httpx.URL, path: str) -> httpx.URL:
    """Return an address below `base`. Whatever `path` contains, it stays a path."""
    return base.copy_with(path=base.path.rstrip("/") + "/" + quote(path, safe="/"))


def has_same_origin(url: object, base: httpx.URL) -> bool:
    """Return whether our key may be sent to the address: only to the configured origin."""
    parsed = parse_url(url)
    if parsed is None:
        return False
    # `raw_host`: the decoded form of a broken international name raises.
    origin = (parsed.scheme, parsed.raw_host, parsed.port, parsed.userinfo)
    return origin == (base.scheme, base.raw_host, base.port, b"")


def parse_url(url: object) -> httpx.URL | None:
    """Return an address that a provider gave, if it is one that can be stored."""
    if not is_token(url):
        return None
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return None


def _raise_if_throttled(name: str, response: httpx.Response) -> None:
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise ProviderThrottled(f"{name}: 429", retry_after_seconds=retry_after_seconds(response))
