"""A simulated fal's images, downloaded and inspected as by the worker: only whole ones are accepted."""

import ssl

import pytest

from adapters.providers.fal.adapter import FalProvider
from adapters.storage.address_guard import guarded_pool
from adapters.storage.download import GuardedDownloader
from domain.errors import ResultExpired, ResultUnavailable, ResultUnusable, ServiceError
from domain.input_files import ImageFacts
from domain.provider import ProviderResult
from tests.support.local_inspector import LocalInspector
from tests.unit.adapters.providers.fal.requests import REQUEST
from tests.unit.adapters.providers.fal.simulated_jobs import asking, ended, result_of


async def downloaded(result: ProviderResult, hosts: tuple[str, ...]) -> list[ImageFacts]:
    async with guarded_pool(hosts, ssl.create_default_context()) as pool:
        downloader = GuardedDownloader(pool, max_bytes=5_000_000, total_seconds=5)
        inspector = LocalInspector(max_pixels=1_000_000)
        facts = []
        for file in result.files:
            async with downloader.download(file.url, hosts) as path:
                facts.append(await inspector.facts_of(path))
        return facts


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
async def test_an_image_arrives_as_it_was_requested(fal: FalProvider, kind: str) -> None:
    result = await result_of(fal, f"a fox in {kind}", n=2, output_format=kind, size="80x60")
    facts = await downloaded(result, fal.result_hosts)

    assert [(fact.width, fact.height, fact.content_type) for fact in facts] == [(80, 60, f"image/{kind}")] * 2
    assert len({fact.sha256 for fact in facts}) == 2


@pytest.mark.parametrize(
    ("marker", "error"),
    [
        ("truncated_body", ResultUnavailable),
        ("truncated_body=none", ResultUnusable),
        ("wrong_bytes", ResultUnusable),
        ("expired_url=9", ResultExpired),
        ("expired_url=9,status=404", ResultExpired),
    ],
)
async def test_an_incomplete_image_is_unusable(
    fal: FalProvider, marker: str, error: type[ServiceError]
) -> None:
    result = await result_of(fal, f"broken [sim:{marker}]", size="512x512", output_format="jpeg")
    with pytest.raises(error):
        await downloaded(result, fal.result_hosts)


async def test_an_expired_address_is_renewed_by_another_poll(fal: FalProvider) -> None:
    job = await fal.submit(asking("again [sim:drop_webhook] [sim:expired_url]"))
    dead, alive = await ended(fal, job), await fal.poll_job(REQUEST, job)
    with pytest.raises(ResultExpired):
        await downloaded(dead, fal.result_hosts)

    assert [fact.width for fact in await downloaded(alive, fal.result_hosts)] == [64]


async def test_an_unlisted_simulator_is_not_fetched_from(fal: FalProvider) -> None:
    result = await result_of(fal, "private")
    with pytest.raises(ResultUnusable):
        await downloaded(result, ("fal.media",))
