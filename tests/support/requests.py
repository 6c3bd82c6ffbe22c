"""Requests and ids for tests."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from domain.charging import ChargePolicies
from domain.controls import Controls
from domain.generation import Generation, GenerationInput, GenerationRequest, TimingPolicy

NO_CHARGES = ChargePolicies()
NO_CONTROLS = Controls()
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
    controls: Controls = NO_CONTROLS,
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
        controls=controls,
    )


def generation_input(
    generation_id: str, tenant_id: str, waits: TimingPolicy = QUICK_TIMING
) -> GenerationInput:
    return GenerationInput(generation_id, tenant_id, "flux-schnell", "fal", waits)


def input_of(generation: Generation, waits: TimingPolicy = QUICK_TIMING) -> GenerationInput:
    """Return the input of a stored generation's workflow, with the times that its client has set."""
    controls, created_at = generation.request.controls, generation.created_at
    cancel_at, start_by = controls.cancel_at(created_at), controls.start_by(created_at)
    return replace(
        generation_input(generation.id, generation.tenant_id, waits),
        cancel_at=cancel_at.isoformat() if cancel_at else None,
        start_by=start_by.isoformat() if start_by else None,
    )
