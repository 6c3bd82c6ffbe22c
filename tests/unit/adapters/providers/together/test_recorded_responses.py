"""Recorded responses of Together AI, as its adapter parses them."""

from pathlib import Path

from adapters.providers.together.adapter import TogetherProvider
from domain.provider import SyncResult
from tests.unit.adapters.providers.inline_image_requests import KEY, recorded_result

URL = "https://provider.test/v1"
PNG = b"\x89PNG\r\n\x1a\n"


async def generated(example: str, folder: Path) -> SyncResult:
    return await recorded_result(
        "together", lambda client: TogetherProvider(client, key=KEY, url=URL), example, folder
    )


async def test_a_recorded_image_is_delivered(tmp_path: Path) -> None:
    answer = await generated("image", tmp_path)

    assert [path.read_bytes() for path in answer.files] == [PNG]
    assert answer.job_id == "nYqR7dz-2j9zxn-9a1c"
    assert answer.result.cost is None
