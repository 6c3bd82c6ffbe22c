"""The bytes of a webhook: the same at every attempt, small, and without what a client sent."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.generation import Generation, Image, Stage, Status
from domain.webhook_bodies import MAX_BODY_BYTES, webhook_body
from domain.webhooks import Delivery, DeliveryStatus
from tests.support.requests import NOW, request

_IMAGE = Image(0, "gen_1/0.png", 512, 512, "image/png", 1000, "ab" * 32)


def _delivery(type: str = "generation.completed") -> Delivery:
    return Delivery(
        *("msg_1", "ten_1", "whe_1", 7, "gen_1", 5, type, {"status": "completed"}, None),
        *(DeliveryStatus.PENDING, 0, NOW, NOW + timedelta(seconds=1), None, None),
    )


def _generation(metadata: dict[str, str] | None = None) -> Generation:
    asked = replace(request("a secret fox"), metadata=metadata or {"order": "7"}, inputs=("file_1",))
    return Generation(
        *("gen_1", "ten_1", asked, Status.COMPLETED, Stage.COMPLETED, None, False, None, 4, 4, 0),
        *(NOW, NOW, NOW, NOW, (_IMAGE,)),
    )


def _link(generation: Generation, image: Image, moment: datetime) -> str:
    return f"https://api.test/{generation.id}/{image.index}?{moment.timestamp():.0f}"


def _body(delivery: Delivery, generation: Generation | None) -> bytes:
    return webhook_body(delivery, generation, "https://api.test", _link)


def test_it_tells_of_the_event_and_the_generation_but_not_what_was_asked_for() -> None:
    body = _body(_delivery(), _generation())
    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == ("generation.completed", "2026-01-15T12:00:00Z")
    assert (told["data"]["event_id"], told["data"]["number"]) == ("7", 5)
    assert told["data"]["generation"]["images"][0]["url"] == f"https://api.test/gen_1/0?{NOW.timestamp():.0f}"
    for word in (b"fox", b"file_1", b"gen_1/0.png"):
        assert word not in body


def test_a_later_attempt_has_the_same_bytes() -> None:
    later = replace(_delivery(), attempts=3, next_attempt_at=NOW + timedelta(days=1))
    assert _body(later, _generation()) == _body(_delivery(), _generation())


def test_before_the_end_it_tells_nothing_that_changes_while_it_is_tried_again() -> None:
    early = replace(_generation(), status=Status.QUEUED, stage=Stage.THROTTLED, images=(), finished_at=None)
    queued = _delivery("generation.queued")
    assert _body(queued, early) == _body(queued, _generation())


def test_an_erased_generation_is_told_of_without_its_images() -> None:
    erased = replace(_generation({}), images_erased_at=NOW, deleted_at=NOW)
    assert json.loads(_body(_delivery(), erased))["data"]["generation"]["images"] == []
    assert json.loads(_body(_delivery(), None))["data"]["generation_id"] == "gen_1"


@pytest.mark.parametrize("value", ["x" * 20_000, "\U0001f98a" * 6000, '"' * 15_000])
def test_it_stays_small_whatever_the_metadata(value: str) -> None:
    body = _body(_delivery(), _generation({"note": value}))
    assert len(body) < MAX_BODY_BYTES
    assert json.loads(body)["data"]["generation"]["metadata"] == {}
