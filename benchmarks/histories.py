"""What histories tell of a run: how many events one has, and what was done twice."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowHistory

from benchmarks.errors import RunFailed
from benchmarks.load import Sample
from devstack.process.log import log

EVENT_SAMPLES = 50
_LOCAL_STEPS = ("reserve_credits", "settle_credits", "refund_credits", "ask_for_place")


def repeated_work(history: WorkflowHistory) -> Counter[str]:
    """Count what a history shows to be done twice, or in the dearer way."""
    found: Counter[str] = Counter()
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
            found["task timeouts"] += 1
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            found["task failures"] += 1
            cause = event.workflow_task_failed_event_attributes.cause
            log(f"a workflow task failed: {WorkflowTaskFailedCause.Name(cause)}")
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            found["retries"] += event.activity_task_started_event_attributes.attempt - 1
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            name = event.activity_task_scheduled_event_attributes.activity_type.name
            found["steps not local"] += name in _LOCAL_STEPS
    return found


async def all_repeated_work(client: Client, samples: Sequence[Sample]) -> Counter[str]:
    """Count likewise in the histories of all samples."""
    found: Counter[str] = Counter()
    for sample in samples:
        found += repeated_work(await client.get_workflow_handle(sample.workflow_id).fetch_history())
    return found


async def events(client: Client, samples: Sequence[Sample]) -> float:
    """Return the average number of history events of a closed run that a provider's signal ended."""
    heard = [sample for sample in samples if sample.reaction_seconds is not None][-EVENT_SAMPLES:]
    if not heard:
        raise RunFailed("no generation was finished by its webhook")
    lengths = []
    for sample in heard:
        handle = client.get_workflow_handle(sample.workflow_id)
        await handle.result()  # the row ends a moment before the run does
        lengths.append((await handle.describe()).history_length)
    return fmean(lengths)
