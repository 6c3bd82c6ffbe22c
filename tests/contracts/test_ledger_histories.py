"""In any order of steps, the ledger on PostgreSQL agrees with a small model."""

from collections.abc import Awaitable, Callable

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.contracts.ledger_model import TERMINAL_STATES, LedgerModel, Life
from tests.contracts.subjects import Subject

Step = Callable[[LedgerModel, Life, int], Awaitable[None]]
STEPS: tuple[Step, ...] = (
    LedgerModel.grant,
    LedgerModel.request_cancel,
    LedgerModel.reserve,
    LedgerModel.begin,
    LedgerModel.never_send,
    LedgerModel.reject,
    LedgerModel.refuse,
    LedgerModel.accept,
    LedgerModel.fail_uncharged,
    LedgerModel.switch_attempt,
    LedgerModel.begin_storing,
    LedgerModel.record_images,
    LedgerModel.complete,
    LedgerModel.settle,
    LedgerModel.refund,
)
# Half of all steps lead on, or hardly a generation would get as far as to its images.
MIXED_STEPS = st.sampled_from(STEPS + (LedgerModel.advance,) * len(STEPS))
LIVES = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 7), st.booleans()), min_size=2, max_size=2)
HISTORIES = st.lists(
    st.tuples(MIXED_STEPS, st.integers(0, 1), st.integers(1, len(TERMINAL_STATES))), min_size=30, max_size=40
)


@settings(
    max_examples=30,
    deadline=None,
    # The same histories in every run: a red one is then about the change at hand.
    derandomize=True,
    database=None,
    # Looking for a shorter history that fails too would take longer than a test may.
    phases=[Phase.generate],
    # Every history has a tenant of its own, so they may share the database.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(credits=st.integers(0, 12), lives=LIVES, history=HISTORIES)
async def test_any_history_leaves_the_ledger_consistent(
    subject: Subject, credits: int, lives: list[tuple[int, int, bool]], history: list[tuple[Step, int, int]]
) -> None:
    model = LedgerModel(subject, await subject.books.tenant(credits), credits)
    for n, price, charges in lives:
        await model.create(n, price, charges=charges)
    for step, index, number in history:
        await step(model, model.lives[index], number)
        await model.compare()
