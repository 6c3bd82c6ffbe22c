"""How much a worker stores at once: what its decoders can do in time."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

import worker
from composition import ServiceSettings
from composition.repositories import catalog
from composition.storage import result_decoders
from domain import temporal_names
from workflows.steps import STORE_SECONDS


def settings_with(**values: object) -> ServiceSettings:
    return ServiceSettings(
        master_key="m" * 32,
        database_url="postgresql://nobody@127.0.0.1/none",
        s3_access_key="a",
        s3_secret_key="s",  # noqa: S106 - nothing is stored
        **values,
    )


@pytest.mark.parametrize(
    ("decoders", "max_activities", "stores"), [(3, 100, 15), (1, 100, 5), (8, 100, 40), (3, 10, 10)]
)
def test_the_assets_queue_takes_what_the_decoders_can_do(
    monkeypatch: pytest.MonkeyPatch, decoders: int, max_activities: int, stores: int
) -> None:
    built: dict[str, dict[str, Any]] = {}

    def record(_client: object, *, task_queue: str, **options: Any) -> SimpleNamespace:
        built[task_queue] = options
        return SimpleNamespace(task_queue=task_queue)

    monkeypatch.setattr(worker, "Worker", record)
    settings = settings_with(image_decoders=decoders, worker_max_activities=max_activities)
    worker.build_workers(MagicMock(), MagicMock(), worker.tuning_of(settings), stop=MagicMock())

    limits = {queue: options["max_concurrent_activities"] for queue, options in built.items()}
    assert limits.pop(temporal_names.ASSETS_QUEUE) == stores
    assert limits.pop(temporal_names.BATCH_FILES_QUEUE) == 2
    assert min(limits.values()) == max_activities


def test_images_that_take_as_long_as_they_may_are_stored_in_one_try() -> None:
    """All results that are stored at once, with as many images as a model makes."""
    settings = settings_with()
    images = max(model.parameters["n"].schema["maximum"] for model in catalog(settings).models.values())
    stores = worker.tuning_of(settings).max_stores

    assert stores * images * settings.image_cpu_seconds / settings.image_decoders <= STORE_SECONDS


async def test_an_image_keeps_its_turn_as_long_as_its_activity_runs() -> None:
    assert result_decoders(settings_with())._queue._wait_seconds > STORE_SECONDS
