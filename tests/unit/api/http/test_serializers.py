"""What the API returns of the domain's objects."""

from dataclasses import replace
from datetime import timedelta

import pytest

from api.http.serializers import GenerationSerializer, serialize_file, serialize_model
from domain.catalog import Catalog
from domain.generation import Generation, GenerationError, Stage, Status, Undelivered
from domain.keyring import Keyring
from domain.moderation import ModeratedAt
from tests.support.requests import NOW, request
from tests.support.small_models import small_catalog, stored

VIEWS = GenerationSerializer("https://example.com", Keyring.of("a master key"), timedelta(days=1), None)
FAILED = Generation(
    id="gen_1",
    tenant_id="ten_1",
    request=request(),
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


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return small_catalog()


@pytest.mark.parametrize("stage", [ModeratedAt.INPUT, ModeratedAt.OUTPUT, Stage.GENERATING])
def test_an_error_says_where(stage: Stage | ModeratedAt) -> None:
    view = VIEWS.serialize(replace(FAILED, error=GenerationError("content_rejected", stage)))

    assert view.error is not None
    assert view.model_dump(mode="json")["error"]["stage"] == stage.value


def test_inputs_and_undelivered_images_are_shown() -> None:
    wanted = replace(request(), inputs=("file_1", "file_2"), mask="file_3")
    view = VIEWS.serialize(replace(FAILED, request=wanted, undelivered=(Undelivered(1, "not_delivered"),)))

    assert (view.inputs, view.mask) == (["file_1", "file_2"], "file_3")
    assert [(missing.index, missing.code) for missing in view.undelivered] == [(1, "not_delivered")]
    assert (view.error, view.queue) == (None, None)


def test_a_model_shows_all_that_a_request_is_checked_by(catalog: Catalog) -> None:
    view = serialize_model(catalog, catalog.get_model("painter")).model_dump(mode="json")

    assert (view["kind"], view["kinds"]) == ("text_to_image", ["text_to_image", "edit", "reference"])
    assert view["parameters"]["output_format"] == {"enum": ["jpeg", "png"], "default": "jpeg"}
    assert view["inputs"]["max_total_bytes"] == 2500
    assert view["price"]["steps"] == {"low": 1, "high": 5}
    assert (view["available"], view["moderation"], view["fallback"]) == (True, "charge", None)
    assert (view["typical_seconds"], view["max_seconds"]) == (1.0, 61.0)


def test_a_model_that_is_off_says_so(catalog: Catalog) -> None:
    view = serialize_model(catalog, catalog.get_model("unreachable"))

    assert (view.available, view.inputs, view.moderation) == (False, None, "refund")


def test_a_file_shows_its_facts_and_not_where_it_lies() -> None:
    view = serialize_file(stored("file_1", has_alpha=True)).model_dump()

    assert (view["id"], view["width"], view["has_alpha"]) == ("file_1", 100, True)
    assert not {"key", "tenant_id"} & view.keys()
