"""Jobs with times that their clients have set."""

from math import ceil

from domain.charging import ChargePolicies, ChargePolicy
from domain.controls import Controls
from domain.generation import GenerationRequest
from tests.support.eventually import eventually
from tests.support.requests import request
from tests.support.time_limits import scaled
from tests.support.world import Job

CHARGES_CANCELS = ChargePolicies(cancel_after_submit=ChargePolicy.CHARGE)
_IS_OVER = """
SELECT 1 FROM generations WHERE id = :id AND clock_timestamp() >=
    created_at + make_interval(secs => least(cancel_after_seconds, start_within_seconds))
"""


def soon() -> int:
    """Return seconds in which a job gets as far as a test wants it."""
    return ceil(scaled(2))


def canceled_after(seconds: int) -> GenerationRequest:
    """Return a request that its client has canceled after this time, for its price if a provider has it."""
    return request(charging=CHARGES_CANCELS, controls=Controls(cancel_after_seconds=seconds))


def started_within(seconds: int) -> GenerationRequest:
    return request(charging=CHARGES_CANCELS, controls=Controls(start_within_seconds=seconds))


async def time_is_over(job: Job) -> None:
    """Wait until a time that its client has set is over, by the database's clock."""
    await eventually(lambda: job.world.books.sql(_IS_OVER, id=job.id))
