"""An attempt that may be begun, and what a provider may say of it."""

from domain.credits import HoldState
from domain.provider import AttemptRef, ProviderEvent, ProviderResult, ResultFile, Verdict
from tests.contracts.subjects import Subject
from tests.support.requests import new_id

FILES = (ResultFile("https://v3.fal.media/files/a.png"),)


async def attempt_of_a_hold(subject: Subject) -> AttemptRef:
    """The first attempt of a generation whose credits are held, not begun."""
    generation_id = await subject.books.add(await subject.books.tenant(10))
    assert (await subject.ledger.reserve(generation_id)).state is HoldState.HELD
    return AttemptRef(generation_id)


def succeeded(job_id: str, files: tuple[ResultFile, ...] = FILES) -> ProviderEvent:
    return ProviderEvent(new_id("event"), job_id, ProviderResult(Verdict.SUCCEEDED, files=files))
