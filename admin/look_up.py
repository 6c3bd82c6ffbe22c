"""Looking up the job of a submit whose response was lost."""

from typing import Any

from composition import ServiceSettings
from composition.activities import worker_activities
from composition.repositories import Database
from composition.temporal import batch_workflows, temporal_client, workflow_client
from domain.errors import GenerationNotFound
from domain.provider import AttemptRef

_ORDINALS = (1, 2)


async def look_up(settings: ServiceSettings, pool: Database, generation_id: str) -> dict[str, Any]:
    """Ask the provider of each attempt for its job, record a job that is found, and fetch its result.

    Also for a generation that has ended: what is found then is noted as late, with its cost. Raises
    GenerationNotFound if nothing was ever submitted.
    """
    client = await temporal_client(settings, lazy=True)
    workflows, batches = workflow_client(settings, client), batch_workflows(settings, client)
    found: dict[str, Any] = {}
    async with worker_activities(settings, workflows, batches, pool) as activities:
        for ordinal in _ORDINALS:
            attempt = AttemptRef(generation_id, ordinal)
            try:
                job = await activities.provider.find_job(attempt)
            except GenerationNotFound:
                continue
            status = (await activities.provider.fetch_result(attempt)).verdict if job is not None else None
            found[str(ordinal)] = {"job_id": job.job_id if job is not None else None, "status": status}
    if not found:
        raise GenerationNotFound(f"nothing was submitted for {generation_id}")
    return {"attempts": found}
