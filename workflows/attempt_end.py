"""How an attempt ends, and whether another provider may be tried then."""

from dataclasses import dataclass

from domain.errors import (
    ProviderFailed,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    QueueTimedOut,
)
from domain.generation import Outcome, Status, TerminalState

# What another provider may do better. Never refused content, and never an unknown submit.
FALLBACK_CODES = frozenset(
    error.code
    for error in (ProviderRefused, ProviderFailed, ProviderUnavailable, ProviderThrottled, QueueTimedOut)
)


@dataclass(frozen=True)
class AttemptFailure:
    """An attempt that ended without a result.

    took_nothing: The provider never had the job. does_not_charge: It had the job, and does not bill it.
    """

    terminal_state: TerminalState
    took_nothing: bool = False
    does_not_charge: bool = False

    @property
    def allows_fallback(self) -> bool:
        costs_nothing = self.took_nothing or self.does_not_charge
        return costs_nothing and self.terminal_state.code in FALLBACK_CODES


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended: with a result to store, unless one of these is set.

    outcome: The generation has already ended. failure: There is nothing to store.
    """

    outcome: Outcome | None = None
    failure: AttemptFailure | None = None

    @property
    def allows_fallback(self) -> bool:
        return self.failure is not None and self.failure.allows_fallback

    @classmethod
    def without_result(cls, terminal_state: TerminalState) -> "AttemptEnd":
        return cls(failure=AttemptFailure(terminal_state))

    @classmethod
    def took_nothing(cls, code: str) -> "AttemptEnd":
        return cls(failure=AttemptFailure(TerminalState(Status.FAILED, code), took_nothing=True))
