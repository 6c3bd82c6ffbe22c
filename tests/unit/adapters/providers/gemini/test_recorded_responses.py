"""Recorded responses of Gemini, as its adapter parses them."""

from decimal import Decimal
from pathlib import Path

import pytest

from adapters.providers.gemini.adapter import GeminiProvider
from domain.errors import ProviderThrottled, ProviderUnavailable, ServiceError
from domain.moderation import ModeratedAt
from domain.provider import ProviderCost, SyncResult
from tests.unit.adapters.providers.inline_image_requests import KEY, facts, recorded_result

URL = "https://provider.test/v1"
PNG = b"\x89PNG\r\n\x1a\n"


async def generated(example: str, folder: Path) -> SyncResult:
    return await recorded_result(
        "gemini", lambda client: GeminiProvider(client, key=KEY, url=URL), example, folder
    )


async def test_a_recorded_image_is_delivered(tmp_path: Path) -> None:
    answer = await generated("image after drafts", tmp_path)

    assert [path.read_bytes() for path in answer.files] == [PNG]
    assert answer.job_id == "ePRJaYqXOb"
    assert answer.result.cost == ProviderCost(Decimal(1299), "token")


@pytest.mark.parametrize(
    ("example", "kind", "detail"),
    [
        ("throttled", ProviderThrottled, 17),
        ("overloaded", ProviderUnavailable, None),
    ],
)
async def test_a_recorded_error_is_mapped(
    tmp_path: Path, example: str, kind: type[ServiceError], detail: ModeratedAt | float | None
) -> None:
    with pytest.raises(ServiceError) as caught:
        await generated(example, tmp_path)

    assert facts(caught.value) == (kind, detail)


async def test_a_recorded_blocked_prompt_is_refused_content(tmp_path: Path) -> None:
    result = (await generated("blocked", tmp_path)).result

    assert (result.code, result.moderated_at) == ("content_rejected", ModeratedAt.INPUT)
    assert result.cost == ProviderCost(Decimal(9), "token")
