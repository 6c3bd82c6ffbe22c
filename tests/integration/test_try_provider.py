"""`python -m admin try-provider`: one job of each kind of provider, at its simulator."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from admin.try_provider import try_provider
from composition import ServiceSettings
from domain.errors import (
    ContentRejected,
    InvalidInput,
    ModelNotFound,
    ModelUnavailable,
    PermanentError,
    ProviderRefused,
    ProviderTimedOut,
)
from tests.simulator.process import KEY, ControlClient, SimulatorProcess

QUICK = ("--job-seconds", "0.2")


@pytest.fixture(scope="module")
async def fal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatorProcess]:
    simulator = SimulatorProcess(tmp_path_factory.mktemp("fal"), QUICK)
    await simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture(scope="module")
async def openai(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SimulatorProcess]:
    simulator = SimulatorProcess(tmp_path_factory.mktemp("openai"), QUICK, provider="openai")
    await simulator.start()
    yield simulator
    simulator.stop()


def settings_with(**given: Any) -> ServiceSettings:
    """Return settings without any server but the provider: a trial stores nothing."""
    return ServiceSettings(
        master_key="a master key that only these tests use",
        database_url="postgresql://nobody@127.0.0.1:9/nothing",
        s3_endpoint="http://127.0.0.1:9",
        s3_access_key="nobody",
        s3_secret_key="nothing",  # noqa: S106 - of nobody
        **given,
    )


def at_fal(simulator: SimulatorProcess, **given: Any) -> ServiceSettings:
    values = {"fal_key": KEY, "fal_user_id": "user-1", "fal_queue_url": simulator.url}
    return settings_with(**values, fal_result_hosts=(simulator.url,), **given)


def at_openai(simulator: SimulatorProcess, key: str = KEY) -> ServiceSettings:
    return settings_with(openai_api_key=key, openai_url=f"{simulator.url}/v1")


async def test_a_job_is_followed_to_its_image(
    fal: SimulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    report = await try_provider(at_fal(fal), "fal", "flux-dev", "a trial fox")
    said = capsys.readouterr().err

    assert (report["model"], report["status"], report["code"]) == ("flux-dev", "succeeded", None)
    assert report["images"] == ["1024x1024 image/jpeg"]
    assert report["cost"].endswith(" billable_unit")
    assert [word for word in ("accepted as", "polled: succeeded", "downloaded") if word not in said] == []


async def test_no_webhook_is_asked_for(fal: SimulatorProcess) -> None:
    await try_provider(at_fal(fal), "fal", None, "a fox that nobody calls about")
    control = ControlClient(fal.url, {})
    async with control.http:
        entries = [
            entry for entry in await control.log(kind="submit_accepted") if "nobody" in entry["prompt"]
        ]

    assert [entry["has_webhook"] for entry in entries] == [False]


async def test_a_job_that_fails_is_report_with_its_code(fal: SimulatorProcess) -> None:
    report = await try_provider(at_fal(fal), "fal", None, "a failing fox [sim:fail]")

    assert (report["status"], report["code"], report["images"]) == ("failed", "provider_failed", [])
    assert report["provider_message"]


async def test_a_job_that_does_not_end_is_given_up(fal: SimulatorProcess) -> None:
    with pytest.raises(ProviderTimedOut):
        await try_provider(at_fal(fal, deadline_cap_seconds=0.5), "fal", None, "a slow fox [sim:hang]")


async def test_a_call_brings_its_image(openai: SimulatorProcess) -> None:
    report = await try_provider(at_openai(openai), "openai", "gpt-image-1-mini", "a trial fox")

    assert (report["model"], report["status"], report["code"]) == ("gpt-image-1-mini", "succeeded", None)
    assert report["images"] == ["1024x1024 image/png"]
    assert report["cost"].endswith(" token")


async def test_what_is_refused_is_raised(openai: SimulatorProcess) -> None:
    with pytest.raises(ContentRejected):
        await try_provider(at_openai(openai), "openai", None, "a refused fox [sim:reject]")
    with pytest.raises(ProviderRefused):
        await try_provider(at_openai(openai, key="another"), "openai", None, "a stranger's fox")


@pytest.mark.parametrize(
    ("provider", "model", "refused"),
    [
        ("replicate", None, InvalidInput),
        ("unheard-of", None, InvalidInput),
        ("fal", "gpt-image-2", ModelUnavailable),
        ("fal", "unheard-of", ModelNotFound),
    ],
)
async def test_what_cannot_be_tried_is_refused(
    fal: SimulatorProcess, provider: str, model: str | None, refused: type[PermanentError]
) -> None:
    with pytest.raises(refused):
        await try_provider(at_fal(fal), provider, model, "a fox")


async def test_a_model_of_another_provider_is_refused(
    fal: SimulatorProcess, openai: SimulatorProcess
) -> None:
    both = at_fal(fal, openai_api_key=KEY, openai_url=f"{openai.url}/v1")
    with pytest.raises(InvalidInput):
        await try_provider(both, "fal", "gpt-image-2", "a fox")
