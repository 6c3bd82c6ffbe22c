"""In any order of steps, every lot on PostgreSQL agrees with an oracle that counts single credits."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.contracts.lot_histories import LotHistory
from tests.contracts.subjects import Subject

Step = Callable[[LotHistory, int, int, int], Awaitable[None]]
STEPS: tuple[Step, ...] = (
    LotHistory.grant,
    LotHistory.hold,
    LotHistory.settle,
    LotHistory.refund,
    LotHistory.take_back,
    LotHistory.withdraw,
    LotHistory.let_an_hour_pass,
    LotHistory.sweep,
    LotHistory.expire,
    LotHistory.void,
    LotHistory.grant_again,
    LotHistory.take_back_again,
)
# Without credits, and jobs that hold them, hardly a step has anything to do.
OFTEN: tuple[Step, ...] = (LotHistory.grant, LotHistory.hold, LotHistory.settle, LotHistory.take_back)
NUMBERS = st.integers(0, 11)
HISTORIES = st.lists(
    st.tuples(st.sampled_from(STEPS + 2 * OFTEN), NUMBERS, NUMBERS, NUMBERS), min_size=24, max_size=32
)
# Low, so that they are met.
CAPS = st.tuples(st.none() | st.integers(0, 8), st.none() | st.integers(0, 6))


async def begun(subject: Subject) -> LotHistory:
    [[now]] = await subject.books.sql("SELECT clock_timestamp()")
    return LotHistory(subject, await subject.books.tenant(), now - timedelta(minutes=30))


@settings(
    max_examples=40,
    deadline=None,
    # As in test_ledger_histories.py.
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(caps=st.lists(CAPS, min_size=2, max_size=2), history=HISTORIES)
async def test_any_history_leaves_every_credit_where_it_belongs(
    subject: Subject, caps: list[tuple[int | None, int | None]], history: list[tuple[Step, int, int, int]]
) -> None:
    tenant = await begun(subject)
    for budget, max_held in caps:
        await tenant.make_key(budget, max_held)
    await tenant.grant(9, 6, 4)
    await tenant.compare("grant")
    for step, first, second, third in history:
        await step(tenant, first, second, third)
        await tenant.compare(step.__name__)
