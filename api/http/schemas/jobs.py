"""Parts of a job: where it went, and what is in doubt."""

from datetime import datetime

from pydantic import BaseModel

from domain.routing import SubmitDecision


class RouteView(BaseModel):
    """A provider that the job could go to.

    Attributes:
        taken: Whether it has the job, had it to the end, or may have it.
        reason: Why it was or was not taken: a word of docs/jobs.md, or a code of docs/errors.md.
    """

    ordinal: int
    model: str
    provider: str
    taken: bool
    reason: str


class SubmitUnknownView(BaseModel):
    """A submit that got no clear response: the provider may have the job.

    Attributes:
        decided_by: What can end the doubt. The deadline always does.
        released_at: When the credits are returned, if nothing else decides before.
    """

    since: datetime
    decided_by: list[SubmitDecision]
    released_at: datetime
