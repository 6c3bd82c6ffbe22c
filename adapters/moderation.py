"""The check of a prompt before any credits are held: a list of words, or OpenAI's moderation endpoint.

Reference for the latter: openai/openai-openapi 2.3.0, `POST /moderations` (read 2026-08-21).
"""

import asyncio
import re
import unicodedata
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path

from adapters.providers.http.responses import json_object, retry_after_seconds, storable
from adapters.transport.errors import HttpError
from adapters.transport.http import HttpClient, Request
from domain.errors import ModerationUnavailable

_MAX_LIST_CHARACTERS = 1_000_000
_MODEL = "omni-moderation-latest"
_TIMEOUT_SECONDS = 10.0
# Unicode's blocks of marks for any letter: what is left of them in a composed text is ornament.
_STROKES = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")


class WordListCheck:
    """Refuses a prompt that holds a listed word or phrase.

    Words are compared whole, in any case and any Unicode form. A script without spaces
    between words is compared one run of letters at a time.
    """

    def __init__(self, rules: Mapping[str, str]) -> None:
        """rules: the name of the broken rule by word or phrase. Raises ValueError if there is none."""
        self._rules = {" ".join(_words(phrase)): rule for phrase, rule in rules.items()}
        self._rules.pop("", None)
        if not self._rules:
            raise ValueError("the list has no words")
        self._lengths = sorted({len(phrase.split()) for phrase in self._rules})

    @classmethod
    def of_file(cls, path: Path) -> "WordListCheck":
        """Read a word or phrase per line, under the `[name]` of its rule; `#` begins a comment.

        Raises ValueError for a file of another form or of over a million characters.
        """
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_LIST_CHARACTERS + 1)
        if len(text) > _MAX_LIST_CHARACTERS:
            raise ValueError(f"{path}: over {_MAX_LIST_CHARACTERS} characters")
        return cls(dict(_listed(path, text)))

    async def find_violation(self, prompt: str) -> str | None:
        # The rule and not the word: the record is for people who need not read it.
        words = _words(prompt)
        for length in self._lengths:
            for start in range(len(words) - length + 1):
                rule = self._rules.get(" ".join(words[start : start + length]))
                if rule is not None:
                    return f"word list: {rule}"
        return None


class OpenAiModerationCheck:
    """Refuses what OpenAI's moderation model flags."""

    def __init__(
        self, http: HttpClient, *, key: str, url: str, timeout_seconds: float = _TIMEOUT_SECONDS
    ) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/moderations"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._timeout_seconds = timeout_seconds

    async def find_violation(self, prompt: str) -> str | None:
        request = Request("POST", self._url, self._headers, json={"model": _MODEL, "input": prompt})
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._http.send(request)
        except HttpError as error:
            raise ModerationUnavailable(f"openai: {error}") from error
        except TimeoutError as error:
            raise ModerationUnavailable("openai: TimeoutError") from error
        if response.status_code != HTTPStatus.OK:
            pause = retry_after_seconds(response)
            raise ModerationUnavailable(f"openai: {response.status_code}", retry_after_seconds=pause)
        match json_object(response):
            case {"results": [{"flagged": bool(is_flagged), **details}]}:
                return _flagged(details.get("categories")) if is_flagged else None
        raise ModerationUnavailable("openai: a malformed response")


def _flagged(categories: object) -> str:
    found = categories.items() if isinstance(categories, dict) else ()
    names = sorted(name for name, is_flagged in found if is_flagged is True)
    return storable(f"openai: {', '.join(names) or 'flagged'}")


def _listed(path: Path, text: str) -> Iterator[tuple[str, str]]:
    rule = None
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if entry.startswith("[") and entry.endswith("]"):
            rule = entry[1:-1].strip()
        elif entry and rule:
            yield entry, rule
        elif entry:
            raise ValueError(f"{path}, line {number}: a word before any [rule]")


def _words(text: str) -> list[str]:
    """Return the words of a text as they are compared: letters, digits and the marks on them.

    Characters that are not seen, such as soft hyphens and joiners, and strokes laid over letters are left
    out, not taken for spaces.
    """
    # Folding can undo what composing did, so the text is composed again.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    seen = (character for character in folded if not _is_left_out(character))
    return "".join(character if _is_of_a_word(character) else " " for character in seen).split()


def _is_left_out(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or _STROKES.match(character) is not None


def _is_of_a_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")
