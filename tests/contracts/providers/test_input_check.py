"""OpenAI's moderation check fulfills the contract of its port, with every fault of the simulator."""

import pytest

from adapters.moderation import OpenAiModerationCheck
from adapters.transport.http import HttpClient
from devstack.process.ports import pick_free
from domain.errors import ModerationUnavailable
from tests.contracts.providers.conftest import Simulators
from tests.simulator.process import KEY


@pytest.fixture
async def check(simulators: Simulators, http: HttpClient) -> OpenAiModerationCheck:
    simulator = await simulators.of("openai")
    return OpenAiModerationCheck(http, key=KEY, url=f"{simulator.url}/v1")


async def test_a_harmless_prompt_passes(check: OpenAiModerationCheck) -> None:
    assert await check.find_violation("a fox") is None


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("a fox [sim:flag]", "openai: violence"),
        ("a fox [sim:flag=sexual]", "openai: sexual"),
        ("a massacre of foxes [sim:flag=hate]", "openai: hate, violence"),
    ],
)
async def test_a_flagged_prompt_is_refused(check: OpenAiModerationCheck, prompt: str, reason: str) -> None:
    assert await check.find_violation(prompt) == reason


@pytest.mark.parametrize("fault", ["check_error", "check_error=400", "check_error=503"])
async def test_a_check_that_fails_accepts_nothing(check: OpenAiModerationCheck, fault: str) -> None:
    with pytest.raises(ModerationUnavailable):
        await check.find_violation(f"a fox [sim:{fault}]")


async def test_a_check_that_is_unavailable_accepts_nothing(simulators: Simulators, http: HttpClient) -> None:
    simulator = await simulators.of("openai")
    stranger = OpenAiModerationCheck(http, key="guessed", url=f"{simulator.url}/v1")
    away = OpenAiModerationCheck(http, key=KEY, url=f"http://127.0.0.1:{pick_free()}/v1")
    for check in (stranger, away):
        with pytest.raises(ModerationUnavailable):
            await check.find_violation("a fox")
