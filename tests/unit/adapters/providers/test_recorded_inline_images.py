"""Answers that providers' documents and recorded traffic show, as the adapters read them."""

from decimal import Decimal
from pathlib import Path

import pytest

from adapters.moderation import OpenAiModerationCheck
from adapters.providers.gemini import GeminiProvider
from adapters.providers.openai import OpenAiProvider
from adapters.providers.together import TogetherProvider
from domain.errors import (
    ContentRejected,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    ServiceError,
)
from domain.moderation import ModeratedAt
from domain.ports import SynchronousProvider
from domain.provider import ProviderCost, SyncResult
from tests.unit.adapters.answering import Wire
from tests.unit.adapters.recorded import recorded
from tests.unit.adapters.synchronous import KEY, asking, facts, spool_on

URL = "https://provider.test/v1"
PNG = b"\x89PNG\r\n\x1a\n"


async def generated(provider: str, example: str, folder: Path) -> SyncResult:
    spool = spool_on(Wire(recorded(provider, example)).http)
    adapters: dict[str, SynchronousProvider] = {
        "openai": OpenAiProvider(spool, key=KEY, url=URL),
        "gemini": GeminiProvider(spool, key=KEY, url=URL),
        "together": TogetherProvider(spool, key=KEY, url=URL),
    }
    return await adapters[provider].generate(asking(provider), folder)


@pytest.mark.parametrize(
    ("provider", "example", "job_id", "tokens"),
    [
        ("openai", "image", "req_8f3b", 4160),
        ("gemini", "image after drafts", "ePRJaYqXOb", 1299),
        ("together", "image", "nYqR7dz-2j9zxn-9a1c", None),
    ],
)
async def test_an_image(tmp_path: Path, provider: str, example: str, job_id: str, tokens: int | None) -> None:
    answer = await generated(provider, example, tmp_path)

    assert [path.read_bytes() for path in answer.files] == [PNG]
    assert answer.job_id == job_id
    assert answer.result.cost == (ProviderCost(Decimal(tokens), "token") if tokens else None)


@pytest.mark.parametrize(
    ("provider", "example", "kind", "detail"),
    [
        ("openai", "moderated", ContentRejected, ModeratedAt.INPUT),
        ("openai", "throttled", ProviderThrottled, None),
        ("openai", "out of quota", ProviderRefused, None),
        ("gemini", "throttled", ProviderThrottled, 17),
        ("gemini", "overloaded", ProviderUnavailable, None),
    ],
)
async def test_a_refusal(
    tmp_path: Path, provider: str, example: str, kind: type[ServiceError], detail: ModeratedAt | float | None
) -> None:
    with pytest.raises(ServiceError) as caught:
        await generated(provider, example, tmp_path)

    assert facts(caught.value) == (kind, detail)


async def test_a_blocked_prompt(tmp_path: Path) -> None:
    result = (await generated("gemini", "blocked", tmp_path)).result

    assert (result.code, result.moderated_at) == ("content_rejected", ModeratedAt.INPUT)
    assert result.cost == ProviderCost(Decimal(9), "token")


async def test_a_flagged_prompt() -> None:
    check = OpenAiModerationCheck(Wire(recorded("openai", "flagged")).http, key=KEY, url=URL)
    assert await check.find_violation("a fox") == "openai: violence, violence/graphic"
