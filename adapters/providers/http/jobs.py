"""What adapters of providers with jobs share: the id of an accepted job, and a job that is still running."""

from collections.abc import Collection

from adapters.providers.http.gateways import canonical, field_of, identifier
from adapters.providers.http.responses import json_object, storable
from adapters.transport.http import Response
from domain.errors import SubmitAmbiguous
from domain.progress import ProviderProgress
from domain.provider import JobStatus, ProviderResult


def accepted_job_id(name: str, response: Response, field: str) -> str:
    """Return the job's id. Raises SubmitAmbiguous, so that it is never sent again, if there is none."""
    job_id = identifier(field_of(json_object(response), field))
    if not response.is_success or job_id is None:
        raise SubmitAmbiguous(f"{name}: {response.status_code} without a job id in {field!r}")
    return job_id


def running(
    status: object, known: Collection[str], progress: ProviderProgress | None = None
) -> ProviderResult:
    """Return that the job still runs, with the status word if it is not a known one."""
    is_unknown = isinstance(status, str) and canonical(status, known) not in known
    unknown = storable(str(status)) if is_unknown else None
    return ProviderResult(JobStatus.RUNNING, unknown_status=unknown, progress=progress)
