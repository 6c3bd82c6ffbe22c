"""Which addresses clients may have their webhooks sent to, as far as the address alone tells.

Where a name leads is decided when it is connected to: adapters/storage/address_guard.py.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping
from urllib.parse import SplitResult, urlsplit

from domain.errors import InvalidInput

MAX_URL_CHARACTERS = 2048
# Of a tenant whose generations may have no webhook yet.
CANNOT_SIGN = "there is no secret to sign with: make one by POST /v1/webhook-secret/rotate"
_URL = re.compile(r"[!-~]+")
_DEFAULT_PORTS: Mapping[str, int] = {"https": 443, "http": 80}


def check_webhook_url(url: str, origins: Collection[str], *, field: str) -> None:
    """Raises InvalidInput, naming the field and never the URL.

    origins: `scheme://host:port` of receivers that an operator vouches for: they may be private, or http.
    """
    problem = _problem_of(url, {_origin(urlsplit(origin)) for origin in origins})
    if problem is not None:
        raise InvalidInput(errors=((field, problem),))


def _problem_of(url: str, origins: Collection[str]) -> str | None:
    if len(url) > MAX_URL_CHARACTERS:
        return f"at most {MAX_URL_CHARACTERS} characters"
    if not _URL.fullmatch(url) or "\\" in url:
        return "printable ASCII without spaces and backslashes; encode what else there is"
    if "#" in url:
        return "must have no fragment"
    try:
        parts = urlsplit(url)
        return _problem_of_parts(parts, parts.hostname, origins) if parts.port != 0 else "not an address"
    except ValueError:
        return "not an address"


def _problem_of_parts(parts: SplitResult, host: str | None, origins: Collection[str]) -> str | None:
    if not host or parts.scheme not in _DEFAULT_PORTS:
        return "must begin with https:// and name a host"
    if "@" in parts.netloc:
        return "must hold no user name and no password"
    if _origin(parts) in origins:
        return None
    return _host_problem(host) if parts.scheme == "https" else "must begin with https://"


def _host_problem(host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_local = host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
        return "must be reachable from the internet" if is_local else None
    return None if address.is_global else "must be reachable from the internet"


def _origin(parts: SplitResult) -> str:
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}"
