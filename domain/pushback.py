"""How long an attempt waits that its provider pushed back."""

_FIRST_PAUSE_SECONDS = 0.5
_MAX_UNSTATED_PAUSE_SECONDS = 30.0


def pause_after(pushbacks: int, stated_seconds: float | None) -> float:
    """Return how long an attempt waits that was pushed back so many times before.

    As long as the provider asks; but each pause is twice the one before, up to 30 s, so that one that says
    "at once" for ever is not asked at once for ever.
    """
    own = min(_MAX_UNSTATED_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(pushbacks, 10))
    return max(own, stated_seconds or 0.0)
