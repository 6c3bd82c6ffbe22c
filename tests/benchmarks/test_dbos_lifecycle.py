"""The lifecycle that runs on DBOS, on steps that are scripted: no DBOS and no server is needed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from benchmarks.dbos.lifecycle import Lifecycle
from benchmarks.dbos.steps import Message, MessageKind, Timed
from domain.credits import HoldState, Refund, Reservation
from domain.errors import (
    ProviderRefused,
    ProviderTimedOut,
    QueueTimedOut,
    ResultExpired,
    ServiceError,
    StorageUnavailable,
    SubmitUnknown,
)
from domain.generation import Fallback, GenerationInput, Outcome, Status, TerminalState, TimingPolicy
from domain.provider import (
    AttemptRef,
    JobStatus,
    PollResult,
    ResultSignal,
    StoreRequest,
    StoreResult,
    StoreState,
    SubmitResult,
    SubmitState,
)

ID = "gen_1"
TIMING = TimingPolicy(
    first_poll_seconds=10,
    poll_factor=2,
    longest_poll_seconds=40,
    poll_jitter=0,
    deadline_seconds=100,
    queue_timeout_seconds=60,
)
JOB = GenerationInput(ID, "ten_1", "flux-schnell", "fal", TIMING)
WITH_FALLBACK = GenerationInput(
    ID, "ten_1", "flux-schnell", "fal", TIMING, fallback=Fallback("flux-r", "replicate", TIMING)
)
ACCEPTED = SubmitResult(SubmitState.ACCEPTED, "job_1")
RUNNING = PollResult(JobStatus.RUNNING)
SUCCEEDED = PollResult(JobStatus.SUCCEEDED)
SUCCESS = Message(MessageKind.RESULT, 1, ResultSignal(7, 1, "succeeded"))
CANCEL = Message(MessageKind.CANCEL)


@dataclass
class ScriptedSteps:
    """Returns what a test says, and keeps its own clock: only a wait that times out takes time.

    messages: None for a wait that times out. Once they are used up, every wait does.
    """

    messages: list[Message | None] = field(default_factory=list)
    submits: list[SubmitResult | ServiceError] = field(default_factory=lambda: [ACCEPTED])
    polls: list[PollResult] = field(default_factory=list)
    slots: list[bool] = field(default_factory=list)
    reservation: Reservation = field(default_factory=lambda: Reservation(HoldState.HELD, queued_seconds=0))
    stored: StoreResult | ServiceError = field(default_factory=lambda: StoreResult(StoreState.STORED, 1))
    is_submitted: bool = False
    now_seconds: float = 1000.0
    called: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    refunds: list[TerminalState] = field(default_factory=list)
    stores: list[StoreRequest] = field(default_factory=list)

    async def receive(self, timeout_seconds: float) -> Message | None:
        self.waits.append(timeout_seconds)
        message = self.messages.pop(0) if self.messages else None
        if message is None:
            self.now_seconds += timeout_seconds
        return message

    async def check_input(self, _generation_id: str) -> bool:
        return False

    async def reserve(self, _generation_id: str) -> Timed[Reservation]:
        return Timed(self.reservation, self.now_seconds)

    async def request_slot(self, attempt: AttemptRef) -> Timed[bool]:
        self.called.append(f"slot {attempt.ordinal}")
        return Timed(self.slots.pop(0) if self.slots else False, self.now_seconds)

    async def submit(self, attempt: AttemptRef, _timing: TimingPolicy) -> Timed[SubmitResult]:
        self.called.append(f"submit {attempt.ordinal}")
        return Timed(_returned(self.submits.pop(0)), self.now_seconds)

    async def poll(self, _attempt: AttemptRef) -> Timed[PollResult]:
        self.called.append("poll")
        return Timed(self.polls.pop(0) if self.polls else RUNNING, self.now_seconds)

    async def cancel(self, attempt: AttemptRef) -> bool:
        self.called.append(f"cancel {attempt.ordinal}")
        return True

    async def store(self, wanted: StoreRequest) -> StoreResult:
        self.stores.append(wanted)
        if isinstance(self.stored, ServiceError):
            raise self.stored
        return self.stored

    async def settle(self, generation_id: str) -> Outcome:
        self.called.append("settle")
        return Outcome(generation_id, Status.COMPLETED, charged_credits=1, images=1)

    async def refund(self, generation_id: str, terminal_state: TerminalState, _provider: str) -> Refund:
        self.refunds.append(terminal_state)
        if terminal_state.unless_submitted and self.is_submitted:
            return Refund(None, submitted=True)
        return Refund(Outcome(generation_id, terminal_state.status, terminal_state.code))


def _returned(result: SubmitResult | ServiceError) -> SubmitResult:
    if isinstance(result, ServiceError):
        raise result
    return result


async def run(steps: ScriptedSteps, job: GenerationInput = JOB) -> Outcome:
    return await Lifecycle(steps, job).run()


async def test_a_webhook_ends_the_wait_and_its_row_is_stored() -> None:
    steps = ScriptedSteps([SUCCESS])
    outcome = await run(steps)

    assert outcome.status is Status.COMPLETED
    assert steps.called == ["submit 1", "settle"]
    assert steps.stores == [StoreRequest(AttemptRef(ID), 7)]


async def test_without_a_webhook_it_polls_ever_more_rarely() -> None:
    steps = ScriptedSteps(polls=[RUNNING, RUNNING, SUCCEEDED])
    outcome = await run(steps)

    assert outcome.status is Status.COMPLETED
    assert steps.waits == [10, 20, 40]
    assert steps.stores == [StoreRequest(AttemptRef(ID), None)]


async def test_a_provider_may_ask_for_rarer_polls() -> None:
    steps = ScriptedSteps(polls=[PollResult(JobStatus.RUNNING, retry_after_seconds=30), SUCCEEDED])
    await run(steps)

    assert steps.waits == [10, 30]


async def test_at_the_deadline_it_is_canceled_at_the_provider_and_refunded() -> None:
    steps = ScriptedSteps()
    outcome = await run(steps)

    assert outcome.code == ProviderTimedOut.code
    assert sum(steps.waits) == TIMING.deadline_seconds
    assert steps.called[-1] == "cancel 1"


async def test_a_cancel_is_kept_although_the_result_comes_right_after() -> None:
    steps = ScriptedSteps([CANCEL, SUCCESS])
    outcome = await run(steps)

    assert outcome.status is Status.CANCELED
    assert steps.called == ["submit 1", "cancel 1"]
    assert steps.stores == []


@pytest.mark.parametrize(
    "stray",
    [
        Message(MessageKind.RESULT, 2, ResultSignal(8, 2, "failed")),
        Message(MessageKind.RESULT, 1, ResultSignal(8, 1, "check")),
        Message(MessageKind.SLOT_GRANTED, 1),
    ],
)
async def test_a_message_that_is_no_result_makes_it_poll(stray: Message) -> None:
    steps = ScriptedSteps([stray, SUCCESS])
    outcome = await run(steps)

    assert outcome.status is Status.COMPLETED
    assert steps.called == ["submit 1", "poll", "settle"]


async def test_it_waits_for_a_slot_until_it_is_granted_one() -> None:
    waiting = Reservation(HoldState.HELD, waits=True, queued_seconds=0)
    steps = ScriptedSteps([Message(MessageKind.SLOT_GRANTED, 1), SUCCESS], reservation=waiting)

    assert (await run(steps)).status is Status.COMPLETED
    assert steps.called == ["submit 1", "settle"]


async def test_it_does_not_wait_for_a_slot_longer_than_it_may() -> None:
    waiting = Reservation(HoldState.HELD, waits=True, queued_seconds=20)
    steps = ScriptedSteps(reservation=waiting)
    outcome = await run(steps)

    assert outcome.code == QueueTimedOut.code
    assert sum(steps.waits) == TIMING.queue_timeout_seconds - 20
    assert "submit 1" not in steps.called


async def test_a_pushback_is_waited_out() -> None:
    pushed_back = SubmitResult(SubmitState.PUSHED_BACK, code="provider_throttled", retry_after_seconds=3)
    steps = ScriptedSteps([None, SUCCESS], submits=[pushed_back, ACCEPTED], slots=[True])

    assert (await run(steps)).status is Status.COMPLETED
    assert steps.called == ["submit 1", "slot 1", "submit 1", "settle"]
    assert steps.waits[0] == 3


async def test_a_refusal_goes_to_the_fallback() -> None:
    refused = SubmitResult(SubmitState.REJECTED, code=ProviderRefused.code)
    success = Message(MessageKind.RESULT, 2, ResultSignal(9, 2, "succeeded"))
    steps = ScriptedSteps([success], submits=[refused, ACCEPTED], slots=[True])

    assert (await run(steps, WITH_FALLBACK)).status is Status.COMPLETED
    assert steps.called == ["submit 1", "slot 2", "submit 2", "settle"]
    assert steps.stores == [StoreRequest(AttemptRef(ID, 2), 9)]


async def test_a_closed_provider_is_left_for_the_fallback() -> None:
    waiting = Reservation(HoldState.HELD, waits=True, queued_seconds=0)
    success = Message(MessageKind.RESULT, 2, ResultSignal(9, 2, "succeeded"))
    closed = Message(MessageKind.PROVIDER_CLOSED, 1)
    steps = ScriptedSteps([closed, success], reservation=waiting, slots=[True])

    assert (await run(steps, WITH_FALLBACK)).status is Status.COMPLETED
    assert steps.called == ["slot 2", "submit 2", "settle"]


@pytest.mark.parametrize("is_submitted", [True, False])
async def test_a_submit_that_fails_for_good_is_refunded_unless_it_may_have_begun(is_submitted: bool) -> None:
    steps = ScriptedSteps(submits=[StorageUnavailable()], is_submitted=is_submitted)
    outcome = await run(steps)

    assert outcome.code == (SubmitUnknown.code if is_submitted else StorageUnavailable.code)
    assert steps.refunds[0].unless_submitted
    assert ("poll" in steps.called) is is_submitted


async def test_a_result_that_cannot_be_stored_is_refunded_and_looked_at() -> None:
    steps = ScriptedSteps([SUCCESS], stored=ResultExpired())
    await run(steps)

    assert steps.refunds == [TerminalState(Status.FAILED, ResultExpired.code, attention=ResultExpired.code)]


@pytest.mark.parametrize("job_ended", [Outcome(ID, Status.COMPLETED), Outcome(ID, Status.CANCELED)])
async def test_an_end_that_a_step_reports_is_the_end(job_ended: Outcome) -> None:
    ends: Sequence[ScriptedSteps] = (
        ScriptedSteps(reservation=Reservation(HoldState.ALREADY_TERMINAL, job_ended)),
        ScriptedSteps(submits=[SubmitResult(SubmitState.ALREADY_TERMINAL, outcome=job_ended)]),
        ScriptedSteps([SUCCESS], stored=StoreResult(StoreState.ALREADY_TERMINAL, outcome=job_ended)),
    )
    for steps in ends:
        assert await run(steps) == job_ended
        assert steps.refunds == []
        assert "settle" not in steps.called
