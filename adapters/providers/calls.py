"""The two ways of calling a provider's API: a submit, which costs money, and a question, which does not."""

from typing import Any
from urllib.parse import quote

import httpx

from adapters.providers.answers import is_token, retry_after_seconds
from domain.errors import ProviderThrottled, ProviderUnavailable, SubmitAmbiguous

# A timeout in front of the provider, or a connection closed on it: what lay behind may have the request.
_GIVEN_UP = (httpx.codes.REQUEST_TIMEOUT, 499)


async def submit(http: httpx.AsyncClient, name: str, url: httpx.URL, **content: Any) -> httpx.Response:
    """POST once. The answer is any but a 429, and none of those that say that nobody waited for it.

    Raises ProviderUnavailable if nothing left, SubmitAmbiguous if something did and no answer came back.
    """
    try:
        response = await http.post(url, **content)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise ProviderUnavailable(f"{name}: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise SubmitAmbiguous(f"{name}: {type(error).__name__}") from error
    _refuse_throttled(name, response)
    if response.status_code in _GIVEN_UP:
        raise SubmitAmbiguous(f"{name}: {response.status_code}")
    return response


async def ask(
    http: httpx.AsyncClient, name: str, method: str, url: httpx.URL, **content: Any
) -> httpx.Response:
    """A request that is safe to repeat. Raises ProviderUnavailable, ProviderThrottled."""
    try:
        response = await http.request(method, url, **content)
    except httpx.HTTPError as error:
        raise ProviderUnavailable(f"{name}: {type(error).__name__}") from error
    _refuse_throttled(name, response)
    if response.is_redirect:
        raise unavailable(name, response)
    return response


def unavailable(name: str, response: httpx.Response) -> ProviderUnavailable:
    """For an answer that tells nothing: ask again later."""
    return ProviderUnavailable(
        f"{name}: {response.status_code}", retry_after_seconds=retry_after_seconds(response)
    )


def under(base: httpx.URL, path: str) -> httpx.URL:
    """An address of the provider's. Whatever is in `path`, it stays a path."""
    return base.copy_with(path=base.path.rstrip("/") + "/" + quote(path, safe="/"))


def is_at(url: object, base: httpx.URL) -> bool:
    """Whether our key may be sent there: only to the very origin that we were configured with."""
    parsed = parsed_url(url)
    if parsed is None:
        return False
    # `raw_host`: the decoded form of a broken international name raises.
    there = (parsed.scheme, parsed.raw_host, parsed.port, parsed.userinfo)
    return there == (base.scheme, base.raw_host, base.port, b"")


def parsed_url(url: object) -> httpx.URL | None:
    """An address that a provider gave us, if it is one that we can keep."""
    if not isinstance(url, str) or not is_token(url):
        return None
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return None


def _refuse_throttled(name: str, response: httpx.Response) -> None:
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise ProviderThrottled(f"{name}: 429", retry_after_seconds=retry_after_seconds(response))
