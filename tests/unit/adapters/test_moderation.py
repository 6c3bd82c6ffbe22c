"""The check of prompts: a word list, and OpenAI's endpoint."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.moderation import OpenAiModerationCheck, WordListCheck
from adapters.providers.http.client import provider_client
from domain.errors import ModerationUnavailable
from tests.support.raw_server import Reply, always, answer, flooding, head, serving
from tests.unit.adapters.providers.inline_image_requests import KEY, NONSENSE
from tests.unit.adapters.providers.mock_http import MockHttp, MockResponse, body_of

URL = "https://api.openai.test/v1"
LIST = """
# What nobody may ask for
[violence]
kill      # also as a noun
Straße
blood bath

[brands]
Café Müller
c3po

[script]
\u0915\u093f
"""


@pytest.fixture
def words(tmp_path: Path) -> WordListCheck:
    path = tmp_path / "words.txt"
    path.write_text(LIST, "utf-8")
    return WordListCheck.of_file(path)


@pytest.mark.parametrize(
    ("prompt", "rule"),
    [
        ("kill", "violence"),
        ("To KILL, or not", "violence"),
        ("over\nkill\n", "violence"),
        ("\uff4b\uff49\uff4c\uff4c", "violence"),
        ("ki\u00adll and k\u200bill", "violence"),
        ("_kill_", "violence"),
        ("auf der STRASSE", "violence"),
        ("a blood\t\n bath", "violence"),
        ("a blood-bath", "violence"),
        ("at the cafe\u0301 mu\u0308ller", "brands"),
        ("at the CAFÉ MÜLLER!", "brands"),
        ("C3PO", "brands"),
        ("k\u0336i\u0336l\u0336l\u0336", "violence"),
        ("\u0915\u093f", "script"),
    ],
)
async def test_a_listed_word_is_refused_by_the_name_of_its_rule(
    words: WordListCheck, prompt: str, rule: str
) -> None:
    reason = await words.find_violation(prompt)

    assert reason == f"word list: {rule}"
    assert prompt not in reason


@pytest.mark.parametrize(
    "prompt",
    [
        *("", "a fox", "skill", "killer", "overkill", "blood in a bath", "bath blood", "cafe muller"),
        *("c3p", "c 3 p o", "k\u0301ill", "\u0915", "\ud800", "fox " * 8000),
    ],
)
async def test_other_prompts_pass(words: WordListCheck, prompt: str) -> None:
    assert await words.find_violation(prompt) is None


@pytest.mark.parametrize(
    "text", ["", "# nothing\n[rule]\n", "[rule]\n!!\n", "word\n[rule]\nother", "x" * 1_000_001]
)
def test_a_list_that_says_nothing_or_too_much_is_no_list(tmp_path: Path, text: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"words|word before|characters"):
        WordListCheck.of_file(path)


def flagging(is_flagged: object, **categories: object) -> dict[str, Any]:
    result = {"flagged": is_flagged, "categories": categories, "category_scores": {}}
    return {"id": "modr-1", "model": "omni-moderation-latest", "results": [result]}


async def checked(answer: MockResponse) -> str | None:
    return await OpenAiModerationCheck(MockHttp(answer).http, key=KEY, url=URL).find_violation("a fox")


async def test_the_endpoint_is_asked_about_the_prompt() -> None:
    wire = MockHttp(httpx.Response(200, json=flagging(False, violence=False)))
    reason = await OpenAiModerationCheck(wire.http, key=KEY, url=URL).find_violation("a fox")

    (request,) = wire.requests
    assert reason is None
    assert (request.method, str(request.url)) == ("POST", f"{URL}/moderations")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert body_of(request) == {"model": "omni-moderation-latest", "input": "a fox"}


@pytest.mark.parametrize(
    ("categories", "reason"),
    [
        ({"violence": True, "sexual": False, "hate": True}, "openai: hate, violence"),
        ({}, "openai: flagged"),
        ({"hate": "yes"}, "openai: flagged"),
    ],
)
async def test_what_is_flagged_is_refused_by_its_categories(categories: dict[str, Any], reason: str) -> None:
    assert await checked(httpx.Response(200, json=flagging(True, **categories))) == reason


@pytest.mark.parametrize("categories", NONSENSE, ids=repr)
async def test_what_is_flagged_is_refused_whatever_the_categories(categories: object) -> None:
    body = {"results": [{"flagged": True, "categories": categories}]}
    assert await checked(httpx.Response(200, json=body)) == "openai: flagged"


@pytest.mark.parametrize(
    "body",
    [
        *NONSENSE,
        *({"results": each} for each in NONSENSE),
        *({"results": [each]} for each in NONSENSE),
        *({"results": [{"flagged": each}]} for each in NONSENSE if each is not True),
    ],
    ids=repr,
)
async def test_a_malformed_response_is_moderation_unavailable(body: object) -> None:
    with pytest.raises(ModerationUnavailable):
        await checked(httpx.Response(200, json=body))


@pytest.mark.parametrize("status", [201, 204, 302, 400, 401, 403, 404, 429, 500, 503])
async def test_any_other_status_lets_nothing_through(status: int) -> None:
    response = httpx.Response(status, json=flagging(False), headers={"Retry-After": "7"})
    with pytest.raises(ModerationUnavailable) as caught:
        await checked(response)

    assert caught.value.retry_after_seconds == 7


async def never(_head: bytes, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "reply",
    [never, always(b""), always(answer(200, b"{", length=9)), flooding(head(200), b" " * 65_536)],
    ids=["slow", "closed", "cut", "endless"],
)
async def test_a_broken_response_is_moderation_unavailable(reply: Reply) -> None:
    async with serving(reply) as server, provider_client() as http:
        check = OpenAiModerationCheck(http, key=KEY, url=server.origin, timeout_seconds=0.5)
        with pytest.raises(ModerationUnavailable):
            await check.find_violation("a fox")


async def test_an_endpoint_that_is_away_lets_nothing_through() -> None:
    async with serving(always(b"")) as server:
        pass
    async with provider_client() as http:
        with pytest.raises(ModerationUnavailable):
            await OpenAiModerationCheck(http, key=KEY, url=server.origin).find_violation("a fox")
