"""What gateways that are compatible with a provider do in their own way, and old or new versions of one too.

They write names and statuses in another case, give numbers for ids, and put an error into a 200. No provider
documents that (unconfirmed), so what is not recognized here counts as it would without this module.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from adapters.providers.http.responses import is_token
from adapters.transport.http import Response, response_of

_MIN_ERROR, _MAX_ERROR = 400, 599
_MAX_NUMBER = 10**20
_OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding", "content-type")
_STATUS_FIELDS = ("status_code", "http_status", "code", "status")
# For an error that has no number: the status that comes with such a word at the providers that use it.
_STATUS_OF_WORD = {
    "ratelimit": 429, "toomanyrequests": 429, "insufficientquota": 429, "resourceexhausted": 429,
    "creditbalanceexhausted": 429, "billinghardlimitreached": 400, "moderationblocked": 400,
    "contentpolicyviolation": 400, "imagegenerationusererror": 400, "invalidrequest": 400,
    "invalidargument": 400, "invalidimagefile": 400, "invalidapikey": 401, "unauthenticated": 401,
    "authentication": 401, "permissiondenied": 403, "serverisoverloaded": 503, "unavailable": 503,
    "internal": 500, "servererror": 500,
}  # fmt: skip


def field_of(container: object, name: str) -> Any:
    """Return a field by its name, or one that differs in case and separators only; None if there is none."""
    if not isinstance(container, Mapping):
        return None
    if name in container:
        return container[name]
    wanted = _bare(name)
    return next((value for key, value in container.items() if _bare(key) == wanted), None)


def canonical(word: object, known: Collection[str]) -> object:
    """Return the known word that differs in case and separators only; the word itself if there is none."""
    if not isinstance(word, str) or word in known:
        return word
    return next((each for each in known if _bare(each) == _bare(word)), word)


def identifier(value: object) -> str | None:
    """Return an id that can be stored; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_NUMBER:
        value = str(value)
    return value if is_token(value) else None


def address_of(item: object) -> object:
    """Return the address of an image that a result lists: as its `url`, or as the item itself."""
    if isinstance(item, str):
        return item if "://" in item else None
    return field_of(item, "url")


def wrapped_error(headers: Mapping[str, str], body: Mapping[str, Any]) -> Response | None:
    """Return the response that an error in a 200 stands for; None if its status cannot be told."""
    error = body.get("error") or body.get("detail")
    if not error:
        return None
    status = _status(error) or _status(body)
    if status is None:
        return None
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return response_of(status, _plain(headers), content)


def _status(error: object) -> int | None:
    if not isinstance(error, Mapping):
        return None
    stated = [error.get(name) for name in _STATUS_FIELDS]
    for value in stated:
        if str(value).isdecimal() and _MIN_ERROR <= int(str(value)[:9]) <= _MAX_ERROR:
            return int(str(value))
    words = [_bare(value) for value in (*stated, error.get("type")) if isinstance(value, str)]
    return next((code for word, code in _STATUS_OF_WORD.items() if any(word in each for each in words)), None)


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers without those that describe the bytes of a body."""
    return {name: value for name, value in headers.items() if name.lower() not in _OF_THE_BODY}


def _bare(word: object) -> str:
    return re.sub("[^a-z0-9]", "", str(word).lower())
