"""Recorded responses of OpenAI, as its adapter parses them."""

from decimal import Decimal
from pathlib import Path

import pytest

from adapters.moderation import OpenAiModerationCheck
from adapters.providers.openai.adapter import OpenAiProvider
from domain.errors import ContentRejected, ProviderRefused, ProviderThrottled, ServiceError
from domain.moderation import ModeratedAt
from domain.provider import ProviderCost, SyncResult
from tests.unit.adapters.providers.inline_image_requests import KEY, facts, recorded_result
from tests.unit.adapters.providers.mock_http import MockHttp
from tests.unit.adapters.providers.recorded import recorded

URL = "https://provider.test/v1"
PNG = b"\x89PNG\r\n\x1a\n"


async def generated(example: str, folder: Path) -> SyncResult:
    return await recorded_result(
        "openai", lambda client: OpenAiProvider(client, key=KEY, url=URL), example, folder
    )


async def test_a_recorded_image_is_delivered(tmp_path: Path) -> None:
    answer = await generated("image", tmp_path)

    assert [path.read_bytes() for path in answer.files] == [PNG]
    assert answer.job_id == "req_8f3b"
    assert answer.result.cost == ProviderCost(Decimal(4160), "token")


@pytest.mark.parametrize(
    ("example", "kind", "detail"),
    [
        ("moderated", ContentRejected, ModeratedAt.INPUT),
        ("throttled", ProviderThrottled, None),
        ("out of quota", ProviderRefused, None),
    ],
)
async def test_a_recorded_error_is_mapped(
    tmp_path: Path, example: str, kind: type[ServiceError], detail: ModeratedAt | float | None
) -> None:
    with pytest.raises(ServiceError) as caught:
        await generated(example, tmp_path)

    assert facts(caught.value) == (kind, detail)


async def test_a_recorded_flagged_prompt_is_a_violation() -> None:
    check = OpenAiModerationCheck(MockHttp(recorded("openai", "flagged")).http, key=KEY, url=URL)
    assert await check.find_violation("a fox") == "openai: violence, violence/graphic"
