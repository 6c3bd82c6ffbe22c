"""Requests and ids for tests."""

from datetime import UTC, datetime
from uuid import uuid4

from domain.charging import ChargePolicies
from domain.generation import GenerationInput, GenerationRequest, TimingPolicy

NO_CHARGES = ChargePolicies()
NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
QUICK_TIMING = TimingPolicy(
    first_poll_seconds=30,
    poll_factor=1.0,
    longest_poll_seconds=30,
    poll_jitter=0.1,
    deadline_seconds=60,
    queue_timeout_seconds=30,
)


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"


def request(
    prompt: str = "a fox in the snow",
    *,
    n: int = 1,
    price_credits: int = 4,
    provider: str = "fal",
    charging: ChargePolicies = NO_CHARGES,
) -> GenerationRequest:
    return GenerationRequest(
        model="flux-schnell",
        provider=provider,
        endpoint="fal-ai/flux/schnell",
        prompt=prompt,
        parameters={"n": n, "size": "512x512", "output_format": "jpeg"},
        n=n,
        price_credits=price_credits,
        charging=charging,
    )


def generation_input(
    generation_id: str, tenant_id: str, waits: TimingPolicy = QUICK_TIMING
) -> GenerationInput:
    return GenerationInput(generation_id, tenant_id, "flux-schnell", "fal", waits)
