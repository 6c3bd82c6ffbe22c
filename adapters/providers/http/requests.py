"""The two ways to call a provider's API: a submit, which costs money, and a request that may be repeated."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from adapters.providers.http.gateways import field_of, wrapped_error
from adapters.providers.http.responses import is_token, json_object, retry_after_seconds
from adapters.transport.errors import HttpError, NotConnected, Unsendable
from adapters.transport.http import HttpClient, InvalidUrl, Request, Response, Url
from domain.errors import (
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ServiceError,
    SubmitAmbiguous,
)

_ID_FIELDS = ("id", "request_id")
# A timeout in front of the provider, or a connection closed on it: the provider may have the request.
_ABANDONED_STATUSES = (HTTPStatus.REQUEST_TIMEOUT, 499)


async def send_submit(http: HttpClient, name: str, url: Url, **content: Any) -> Response:
    """POST once. Return any response but a 429, a 408 or a 499; for an error in a 200, that error.

    Raises ProviderThrottled, ProviderUnavailable if nothing was sent, ProviderRefused if our own settings
    make it impossible, and SubmitAmbiguous if something was sent and no response came back.
    """
    try:
        response = await http.send(Request("POST", url, **content))
    except HttpError as error:
        raise submit_error(name, error) from error
    response = _unwrapped(response)
    _raise_if_throttled(name, response)
    if response.status_code in _ABANDONED_STATUSES:
        raise SubmitAmbiguous(f"{name}: {response.status_code}")
    return response


def submit_error(name: str, error: HttpError) -> ServiceError:
    """Return what it means for money that a submit brought no whole response."""
    if isinstance(error, Unsendable):  # our settings are wrong, and nothing was taken
        return ProviderRefused(f"{name}: the request cannot be sent: {error}")
    if isinstance(error, NotConnected):
        return ProviderUnavailable(f"{name}: {error}")
    return SubmitAmbiguous(f"{name}: {error}")


def _unwrapped(response: Response) -> Response:
    body = json_object(response) if response.is_success else {}
    if any(field_of(body, name) for name in _ID_FIELDS):
        return response
    return wrapped_error(response.headers, body) or response


def _never(_response: Response) -> bool:
    return False


async def send_repeatable(
    http: HttpClient,
    name: str,
    method: str,
    url: Url,
    *,
    is_job_error: Callable[[Response], bool] = _never,
    **content: Any,
) -> Response:
    """Send a request that is safe to repeat. Raises ProviderUnavailable, ProviderThrottled.

    is_job_error: whether a 5xx is the job's own end and is to be returned.
    """
    try:
        response = await http.send(Request(method, url, **content))
    except HttpError as error:
        raise ProviderUnavailable(f"{name}: {error}") from error
    _raise_if_throttled(name, response)
    if response.is_redirect or (response.is_server_error and not is_job_error(response)):
        raise unavailable(name, response)
    return response


def unavailable(name: str, response: Response) -> ProviderUnavailable:
    """Return the error for a response that says nothing about the job: try again later."""
    return ProviderUnavailable(
        f"{name}: {response.status_code}", retry_after_seconds=retry_after_seconds(response)
    )


def join_path(base: Url, path: str) -> Url:
    """Return an address below `base`. Whatever `path` contains, it stays a path."""
    return base.copy_with(path=base.path.rstrip("/") + "/" + quote(path, safe="/"))


def has_same_origin(url: object, base: Url) -> bool:
    """Return whether our key may be sent to the address: only to the configured origin."""
    parsed = parse_url(url)
    if parsed is None:
        return False
    # `raw_host`: the decoded form of a broken international name raises.
    origin = (parsed.scheme, parsed.raw_host, parsed.port, parsed.userinfo)
    return origin == (base.scheme, base.raw_host, base.port, b"")


def parse_url(url: object) -> Url | None:
    """Return an address that a provider gave, if it is one that can be stored."""
    if not is_token(url):
        return None
    try:
        return Url(url)
    except InvalidUrl:
        return None


def _raise_if_throttled(name: str, response: Response) -> None:
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        raise ProviderThrottled(f"{name}: 429", retry_after_seconds=retry_after_seconds(response))
