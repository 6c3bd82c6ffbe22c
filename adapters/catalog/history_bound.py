"""Checks that no job of a model can outgrow the history of its workflow."""

import math
from collections.abc import Mapping

from domain.generation import TimingPolicy
from domain.model import Model

# Temporal's limit is 51,200. Seen in histories: 11 events a poll, 12 a pushback; each waits 30 s in the end.
_MAX_EVENTS = 50_000
_MAX_OTHER_EVENTS = 500
_EVENTS_PER_POLL = 11
_EVENTS_PER_PUSHBACK = 12
_MIN_PUSHBACK_SECONDS = 30.0


def check_history(name: str, models: Mapping[str, Model]) -> None:
    """Check that no job of the model can outgrow the history of its workflow.

    Temporal ends a workflow at 51,200 events. One at its limits is pushed back and polls as often as its
    timing allows; its fallback does so too.
    """
    model = models[name]
    fallback = models.get(model.fallback or "")
    # The time in the queue is one for both.
    events = _MAX_OTHER_EVENTS + _queue_events(model.timing) + _poll_events(model.timing)
    if fallback is not None:
        events += _poll_events(fallback.timing)
    if events > _MAX_EVENTS:
        raise ValueError(
            f"models.{name}: timing: up to {events} events, and a workflow ends at {_MAX_EVENTS}:"
            " raise max_poll_seconds or poll_factor, or lower deadline_seconds or QUEUE_TIMEOUT_SECONDS"
        )


def _queue_events(timing: TimingPolicy) -> int:
    return math.ceil(timing.queue_timeout_seconds / _MIN_PUSHBACK_SECONDS) * _EVENTS_PER_PUSHBACK


def _poll_events(timing: TimingPolicy) -> int:
    """Return the events of all polls until the deadline, without the jitter that makes them fewer."""
    polls, elapsed, pause = 0, 0.0, timing.first_poll_seconds
    while (
        elapsed < timing.deadline_seconds and pause < timing.longest_poll_seconds and timing.poll_factor > 1
    ):
        polls, elapsed, pause = polls + 1, elapsed + pause, pause * timing.poll_factor
    pause = min(pause, timing.longest_poll_seconds)
    polls += math.ceil(max(0.0, timing.deadline_seconds - elapsed) / pause)
    return polls * _EVENTS_PER_POLL
