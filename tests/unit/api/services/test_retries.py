"""A retry asks for what the earlier generation was asked for, and so may fall back where that one might."""

from dataclasses import replace
from typing import cast

from api.services.generations import GenerationCommand, GenerationService
from api.services.rate_limiter import RateLimiter
from api.services.retries import Retries
from domain.auth import Caller, Scope
from domain.catalog import Catalog
from domain.controls import Controls, Priority
from domain.generation import Generation, GenerationRequest, Stage, Status
from domain.ports import Generations
from tests.support.requests import NOW
from tests.support.small_models import small_catalog

CALLER = Caller("ten_1", "key_1", frozenset(Scope))


class OneGeneration:
    """Both ports of a retry: it reads one generation, and keeps what is asked for then."""

    def __init__(self, request: GenerationRequest) -> None:
        self.generation = Generation(
            id="gen_1",
            tenant_id="ten_1",
            request=request,
            status=Status.FAILED,
            stage=Stage.FAILED,
            error=None,
            cancel_requested=False,
            needs_attention=None,
            held_credits=0,
            charged_credits=0,
            refunded_credits=0,
            created_at=NOW,
            queued_at=None,
            processing_at=None,
            finished_at=NOW,
        )
        self.asked: list[GenerationCommand] = []

    async def get_generation_of(self, tenant_id: str, generation_id: str) -> Generation:
        return self.generation

    async def accept(
        self, caller: Caller, command: GenerationCommand, key: str | None
    ) -> tuple[Generation, bool]:
        self.asked.append(command)
        return self.generation, True


async def asked_again(
    catalog: Catalog, request: GenerationRequest, cancel_after_seconds: int | None = None
) -> GenerationCommand:
    one = OneGeneration(request)
    retries = Retries(
        catalog, cast("Generations", one), cast("GenerationService", one), cast("RateLimiter", None)
    )
    await retries.retry(CALLER, "gen_1", None, cancel_after_seconds, None)
    [command] = one.asked
    return command


def catalog_with_unlike_defaults() -> Catalog:
    """Return a catalog whose fallback does not know a parameter that the first model has a default for."""
    catalog = small_catalog()
    other = catalog.get_model("stand-in")
    fewer = {name: value for name, value in other.parameters.items() if name != "output_format"}
    models = {**catalog.models, "stand-in": replace(other, parameters=fewer)}
    return replace(catalog, models=models)


async def test_a_default_that_the_fallback_does_not_know_does_not_cost_it() -> None:
    catalog = catalog_with_unlike_defaults()
    request = catalog.build_request("maker", {"prompt": "a fox", "n": 2}, {"order": "7"})
    command = await asked_again(catalog, request)

    again = catalog.build_request(command.model, command.parameters, command.metadata)

    assert request.fallback is not None
    assert request.parameters["output_format"] == "jpeg"
    assert again == request


async def test_its_controls_are_those_of_the_earlier_one_but_what_is_set_anew() -> None:
    catalog = small_catalog()
    controls = Controls(
        cancel_after_seconds=60, start_within_seconds=10, priority=Priority.HIGH, retry_of="gen_0"
    )
    request = replace(catalog.build_request("maker", {"prompt": "a fox"}, {}), controls=controls)

    command = await asked_again(catalog, request, cancel_after_seconds=90)

    assert command.controls == replace(controls, cancel_after_seconds=90, retry_of="gen_1")


async def test_a_repeat_of_a_retry_is_known_once_the_earlier_one_is_erased() -> None:
    """Its prompt and its webhook's address are gone then; what the client sends is the same."""
    catalog = small_catalog()
    request = catalog.build_request("maker", {"prompt": "a fox"}, {})
    told = replace(request, controls=Controls(webhook_url="https://example.com/", keeps_prompt=False))
    erased = replace(told, prompt="", controls=replace(told.controls, webhook_url=None))
    first, repeated = await asked_again(catalog, told, 60), await asked_again(catalog, erased, 60)
    assert first.controls.webhook_url == "https://example.com/"
    assert first.digest() == repeated.digest()
    assert first.digest() != (await asked_again(catalog, told, 61)).digest()
