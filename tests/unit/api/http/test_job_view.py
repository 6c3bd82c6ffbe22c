"""What a job tells of a submit that got no clear response."""

from dataclasses import replace
from datetime import timedelta

import pytest

from api.http.job_view import SubmitDecisions, serialize_routing
from domain.controls import Controls
from domain.generation import Generation, Stage, Status
from domain.route_notes import RouteNote
from tests.support.requests import NOW, request
from tests.support.small_models import small_catalog

SINCE = NOW + timedelta(seconds=5)
ASKED = replace(request(), model="maker", fallback=replace(request(), model="stand-in", provider="other"))
IN_DOUBT = Generation(
    id="gen_1",
    tenant_id="ten_1",
    request=ASKED,
    status=Status.PROCESSING,
    stage=Stage.SUBMIT_UNKNOWN,
    error=None,
    cancel_requested=False,
    needs_attention=None,
    held_credits=4,
    charged_credits=0,
    refunded_credits=0,
    created_at=NOW,
    queued_at=NOW,
    processing_at=None,
    finished_at=None,
    moved_at=SINCE,
)
AT_SECOND = replace(
    IN_DOUBT, request=replace(ASKED, route_notes=(RouteNote(1, "maker", "fal", "provider_refused"),))
)


def decisions(calling_back: set[str], listing_jobs: set[str]) -> SubmitDecisions:
    return SubmitDecisions(small_catalog(), calling_back, listing_jobs)


@pytest.mark.parametrize(
    ("calling_back", "listing_jobs", "decided_by"),
    [
        ({"fal"}, {"fal"}, ["provider_webhook", "look_up", "deadline"]),
        ({"fal"}, {"other"}, ["provider_webhook", "deadline"]),
        # It would be looked up by the address of a callback, and has none.
        (set(), {"fal"}, ["deadline"]),
    ],
)
def test_it_says_what_can_decide(
    calling_back: set[str], listing_jobs: set[str], decided_by: list[str]
) -> None:
    told = decisions(calling_back, listing_jobs).serialize(IN_DOUBT)
    assert told is not None
    assert [str(each) for each in told.decided_by] == decided_by


def test_it_is_about_the_provider_that_the_job_is_at() -> None:
    told = decisions({"other"}, set()).serialize(AT_SECOND)
    assert told is not None
    assert len(told.decided_by) == 2


@pytest.mark.parametrize(
    ("cancel_after_seconds", "held_seconds"), [(None, 1.0), (5, 0.0), (6, 1.0), (2, 0.0), (600, 1.0)]
)
def test_the_hold_goes_at_the_deadline_or_when_its_client_has_it_canceled(
    cancel_after_seconds: int | None, held_seconds: float
) -> None:
    controls = Controls(cancel_after_seconds=cancel_after_seconds)
    found = replace(IN_DOUBT, request=replace(ASKED, controls=controls))
    told = decisions(set(), set()).serialize(found)
    assert told is not None
    assert told.since == SINCE
    assert told.released_at == SINCE + timedelta(seconds=held_seconds)


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.SUBMIT_UNKNOWN])
def test_nothing_is_in_doubt_at_another_stage(stage: Stage) -> None:
    assert decisions({"fal"}, {"fal"}).serialize(replace(IN_DOUBT, stage=stage)) is None


def test_what_was_read_without_attempts_tells_no_routing() -> None:
    assert serialize_routing(IN_DOUBT) is None
    told = serialize_routing(replace(IN_DOUBT, attempts=()))
    assert told is not None
    assert [each.provider for each in told] == ["fal", "other"]
