"""Which providers a generation could go to, told from its record."""

from dataclasses import replace

import pytest

from domain.attempt import AttemptState
from domain.generation import Generation, GenerationError, Stage, Status
from domain.route_notes import AttemptSummary, RouteNote
from domain.routing import considered_providers, current_ordinal
from tests.support.requests import NOW, request
from tests.support.small_models import small_catalog

ALONE = request()
FIRST = replace(ALONE, fallback=replace(ALONE, model="other", provider="replicate"))
LEFT = "provider_refused"


def generation(
    *states: str,
    left: str | None = None,
    end: str | None = None,
    code: str | None = None,
    has_fallback: bool = True,
) -> Generation:
    """Return a generation. states: of its attempts. end: its error code, `completed` or `canceled`."""
    attempts = tuple(
        AttemptSummary(ordinal, AttemptState(state), code) for ordinal, state in enumerate(states, 1)
    )
    notes = (RouteNote(1, "flux-schnell", "fal", left),) if left else ()
    status = Status(end) if end in ("completed", "canceled") else Status.FAILED if end else Status.PROCESSING
    is_failed = status is Status.FAILED
    return Generation(
        id="gen_1",
        tenant_id="ten_1",
        request=replace(FIRST if has_fallback else ALONE, route_notes=notes),
        status=status,
        stage=Stage(status) if end else Stage.GENERATING,
        error=GenerationError(end or "", Stage.GENERATING) if is_failed else None,
        cancel_requested=False,
        needs_attention=None,
        held_credits=0,
        charged_credits=0,
        refunded_credits=0,
        created_at=NOW,
        queued_at=None,
        processing_at=None,
        finished_at=NOW if end else None,
        attempts=attempts,
    )


def told(found: Generation) -> list[tuple[bool, str]]:
    return [(each.taken, each.reason) for each in considered_providers(found)]


@pytest.mark.parametrize(
    ("found", "first", "second"),
    [
        (generation(), (False, "waiting"), (False, "not_needed")),
        (generation("not_sent"), (False, "waiting"), (False, "not_needed")),
        (generation("sending"), (True, "may_be_charged"), (False, "not_needed")),
        (generation("accepted"), (True, "taken"), (False, "not_needed")),
        (generation("unknown"), (True, "may_be_charged"), (False, "may_be_charged")),
        (generation("succeeded", end="completed"), (True, "taken"), (False, "not_needed")),
        (generation("unknown", end="submit_unknown"), (True, "may_be_charged"), (False, "may_be_charged")),
        (generation("failed", end="provider_failed"), (True, "taken"), (False, "may_be_charged")),
        (
            generation("failed", code="submit_unknown", end="submit_unknown"),
            (True, "may_be_charged"),
            (False, "may_be_charged"),
        ),
        (generation("accepted", end="provider_timed_out"), (True, "taken"), (False, "may_be_charged")),
        (generation("succeeded", end="result_unusable"), (True, "taken"), (False, "may_be_charged")),
        (generation("failed", end="content_rejected"), (True, "taken"), (False, "content_rejected")),
        (
            generation("rejected", code="content_rejected", end="content_rejected"),
            (False, "content_rejected"),
            (False, "content_rejected"),
        ),
        (
            generation("rejected", code="invalid_input", end="invalid_input"),
            (False, "invalid_input"),
            (False, "invalid_input"),
        ),
        (generation("accepted", end="canceled"), (True, "taken"), (False, "canceled")),
        (generation(end="canceled"), (False, "canceled"), (False, "canceled")),
        (
            generation(end="insufficient_credits"),
            (False, "insufficient_credits"),
            (False, "insufficient_credits"),
        ),
    ],
)
def test_what_stays_at_the_first_says_why(
    found: Generation, first: tuple[bool, str], second: tuple[bool, str]
) -> None:
    assert told(found) == [first, second]


@pytest.mark.parametrize(
    ("found", "first", "second"),
    [
        (generation("rejected", left=LEFT, code=LEFT), (False, LEFT), (False, "waiting")),
        (generation("rejected", "accepted", left=LEFT, code=LEFT), (False, LEFT), (True, "taken")),
        (
            generation("not_sent", "succeeded", left="provider_throttled"),
            (False, "provider_throttled"),
            (True, "taken"),
        ),
        (generation(left="queue_timed_out"), (False, "queue_timed_out"), (False, "waiting")),
        (
            generation("rejected", "rejected", left=LEFT, code="provider_refused", end="provider_refused"),
            (False, LEFT),
            (False, "provider_refused"),
        ),
        (generation("rejected", left=LEFT, end="queue_timed_out"), (False, LEFT), (False, "queue_timed_out")),
        # After a Reset in Temporal the first was asked again, and took it.
        (generation("accepted", "rejected", left=LEFT, code="x"), (True, "taken"), (False, "x")),
        # It had said that it took nothing, and sent an image when the job was elsewhere.
        (generation("succeeded", "accepted", left=LEFT), (False, LEFT), (True, "taken")),
        # Of a version that noted nothing.
        (
            generation("failed_uncharged", "accepted", code="provider_failed"),
            (False, "provider_failed"),
            (True, "taken"),
        ),
        (generation("not_sent", "accepted"), (False, "not_recorded"), (True, "taken")),
    ],
)
def test_what_went_on_says_why(found: Generation, first: tuple[bool, str], second: tuple[bool, str]) -> None:
    assert told(found) == [first, second]


def test_without_a_fallback_there_is_one_provider() -> None:
    [only] = considered_providers(generation("accepted", has_fallback=False))
    assert (only.ordinal, only.model, only.provider) == (1, "flux-schnell", "fal")


def test_the_current_attempt_is_the_second_once_the_first_was_left() -> None:
    assert (current_ordinal(generation("unknown")), current_ordinal(generation("rejected", left=LEFT))) == (
        1,
        2,
    )


@pytest.mark.parametrize(
    ("model", "fields", "note"),
    [
        ("maker", {"prompt": "x", "seed": 1}, ("stand-in", "other", "request_not_supported")),
        ("stand-in", {"prompt": "x"}, ("unreachable", "off", "not_available")),
    ],
)
def test_a_fallback_that_cannot_take_it_says_why(
    model: str, fields: dict[str, object], note: tuple[str, str, str]
) -> None:
    wanted = small_catalog().build_request(model, fields, {})
    second = considered_providers(replace(generation(), request=wanted))[1]
    assert (second.model, second.provider, second.reason) == note
    assert (second.ordinal, second.taken) == (2, False)
    assert current_ordinal(replace(generation(), request=wanted)) == 1
