"""Recorded responses of Together AI, as its adapter parses them."""

from pathlib import Path

from adapters.providers.together.adapter import TogetherProvider
from domain.provider import SyncResult
from tests.unit.adapters.providers.inline_image_requests import KEY, asking, client_on
from tests.unit.adapters.providers.mock_http import MockHttp
from tests.unit.adapters.providers.recorded import recorded

URL = "https://provider.test/v1"
PNG = b"\x89PNG\r\n\x1a\n"


async def generated(example: str, folder: Path) -> SyncResult:
    provider = TogetherProvider(client_on(MockHttp(recorded("together", example)).http), key=KEY, url=URL)
    return await provider.generate(asking("together"), folder)


async def test_a_recorded_image_is_delivered(tmp_path: Path) -> None:
    answer = await generated("image", tmp_path)

    assert [path.read_bytes() for path in answer.files] == [PNG]
    assert answer.job_id == "nYqR7dz-2j9zxn-9a1c"
    assert answer.result.cost is None
