"""Darkroom's own metrics, exported next to the SDK's. docs/operations.md lists every name."""

from temporalio import activity

from domain.batches import Batch
from domain.generation import Outcome

FINISHED = "darkroom_generations_finished"
SUBMITS = "darkroom_submits"
POLLS = "darkroom_polls"
STORED_BYTES = "darkroom_stored_bytes"
REPAIRS = "darkroom_repairs"
RECONCILES = "darkroom_reconciles"
DELIVERIES = "darkroom_delivery_attempts"
BATCHES = "darkroom_batches_finished"
BATCH_ITEMS = "darkroom_batch_items"


def count_finished(outcome: Outcome) -> None:
    """Count a terminal state as the ledger reported it; a repeated step counts again."""
    _add(FINISHED, 1, status=outcome.status.value, code=outcome.code or "")


def count_submit(provider: str, state: str) -> None:
    _add(SUBMITS, 1, provider=provider, state=state)


def count_poll(provider: str, status: str) -> None:
    _add(POLLS, 1, provider=provider, status=status)


def count_stored(provider: str, size_bytes: int) -> None:
    _add(STORED_BYTES, size_bytes, provider=provider)


def count_repair(kind: str, times: int) -> None:
    _add(REPAIRS, times, kind=kind)


def count_reconcile(part: str, *, succeeded: bool) -> None:
    _add(RECONCILES, 1, part=part, outcome="succeeded" if succeeded else "failed")


def count_delivery_attempt(outcome: str) -> None:
    _add(DELIVERIES, 1, outcome=outcome)


def count_batch(batch: Batch) -> None:
    """Count a batch that has ended."""
    _add(BATCHES, 1, status=batch.status.value, code=batch.error_code or "")


def count_items(outcome: str, number: int) -> None:
    if number:
        _add(BATCH_ITEMS, number, outcome=outcome)


def _add(name: str, value: int, **labels: str) -> None:
    activity.metric_meter().create_counter(name).add(value, labels)
