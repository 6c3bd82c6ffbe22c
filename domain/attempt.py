"""One submission to one provider as a state machine: its states, its transitions, what each means for money.

The same table stands in docs/attempts.md, and the trigger `advance_attempt` enforces it in the database.
"""

from collections.abc import Mapping
from enum import StrEnum


class AttemptState(StrEnum):
    """Where an attempt is. Written before a byte leaves for the provider."""

    SENDING = "sending"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FAILED_UNCHARGED = "failed_uncharged"

    @property
    def took_nothing(self) -> bool:
        """Whether the provider provably has no job: it never got the request, or refused it."""
        return self in (AttemptState.NOT_SENT, AttemptState.REJECTED)

    @property
    def does_not_charge(self) -> bool:
        """Whether the provider had the job, failed it, and by its own terms does not bill that."""
        return self is AttemptState.FAILED_UNCHARGED

    @property
    def may_be_charged(self) -> bool:
        """Whether the provider bills the attempt, or may. No other provider may be asked meanwhile."""
        return not (self.took_nothing or self.does_not_charge)

    @property
    def is_final(self) -> bool:
        """Whether the provider has reported how the job ended."""
        return self in (AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.FAILED_UNCHARGED)

    def allows(self, new: "AttemptState") -> bool:
        """Return whether an attempt may go from this state to `new`; staying is always allowed."""
        return new is self or new in TRANSITIONS[self]


_RESULTS = frozenset((AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.FAILED_UNCHARGED))

# An attempt begins as SENDING.
TRANSITIONS: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.SENDING: _RESULTS
    | {AttemptState.UNKNOWN, AttemptState.NOT_SENT, AttemptState.REJECTED, AttemptState.ACCEPTED},
    AttemptState.UNKNOWN: _RESULTS | {AttemptState.NOT_SENT, AttemptState.REJECTED, AttemptState.ACCEPTED},
    AttemptState.NOT_SENT: _RESULTS | {AttemptState.SENDING, AttemptState.ACCEPTED},
    # The provider contradicts its own refusal: it had a job after all, and may bill it.
    AttemptState.REJECTED: frozenset({AttemptState.FAILED}),
    AttemptState.ACCEPTED: _RESULTS,
    AttemptState.SUCCEEDED: frozenset(),
    AttemptState.FAILED: frozenset(),
    # A failure that was called free of charge turns out to be charged.
    AttemptState.FAILED_UNCHARGED: frozenset({AttemptState.FAILED}),
}
