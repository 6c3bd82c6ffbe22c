"""An attempt's wait for a slot at its provider."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow

from domain.errors import ProviderThrottled, QueueTimedOut
from domain.provider import AttemptRef
from workflows import steps

# A waiting attempt is signaled when it gets a slot. In case a signal is lost it also looks after this long,
# plus up to half of it, so that many who began to wait together do not look together.
_SAFETY_LOOK = timedelta(minutes=10)
_SAFETY_JITTER = 0.5


class SlotWait:
    """Waits until there is a slot, or a reason to wait no longer.

    leaves_if_closed: whether the attempt goes to another provider if this one is closed.
    """

    def __init__(self, ref: AttemptRef, provider: str, *, leaves_if_closed: bool) -> None:
        self.has_slot = False
        self.pushback_code: str | None = None
        self._ref = ref
        self._provider = provider
        self._leaves_if_closed = leaves_if_closed
        self._is_closed = False

    def on_granted(self) -> None:
        self.has_slot = True

    def on_closed(self) -> None:
        self._is_closed = True

    @property
    def leaves(self) -> bool:
        return self._is_closed and self._leaves_if_closed

    @property
    def failure_code(self) -> str:
        """Why the attempt ended without a slot: what the provider last said, if it was asked."""
        return self.pushback_code or (ProviderThrottled.code if self.leaves else QueueTimedOut.code)

    async def wait(
        self, deadline: datetime, pause_seconds: float | None, is_over: Callable[[], bool]
    ) -> None:
        """Wait until a slot is granted, the deadline, or `is_over`.

        pause_seconds: for an attempt that was pushed back, when to ask for a slot again.
        """
        look_at = workflow.now() + self._next_look(pause_seconds)
        while not self._is_done(is_over) and workflow.now() < deadline:
            try:
                await workflow.wait_condition(
                    lambda: self._is_done(is_over),
                    timeout=min(look_at, deadline) - workflow.now(),
                    timeout_summary=f"A free slot at {self._provider}",
                )
            except TimeoutError:
                # The signal may have come while this asked.
                self.has_slot = await steps.request_slot(self._ref) or self.has_slot
                look_at = workflow.now() + self._next_look(None)

    def _is_done(self, is_over: Callable[[], bool]) -> bool:
        return self.has_slot or self.leaves or is_over()

    def _next_look(self, pause_seconds: float | None) -> timedelta:
        if pause_seconds is not None:
            return timedelta(seconds=max(pause_seconds, 0.01))
        return _SAFETY_LOOK * (1 + _SAFETY_JITTER * workflow.random().random())
