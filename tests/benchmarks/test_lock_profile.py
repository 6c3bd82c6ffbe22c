"""The lock profile names the table, and counts those that wait for the same row."""

from typing import Any

from benchmarks.lock_profile import LockProfile


def waiting(pid: int, relation: str = "accounts", row: int | None = 1, kind: str = "tuple") -> Any:
    page = None if row is None else 0
    return {
        "pid": pid,
        "waitstart": 1,
        "locktype": kind,
        "relation": relation,
        "page": page,
        "tuple": row,
    }


def test_those_at_the_same_row_are_counted_together() -> None:
    profile = LockProfile()
    profile.note([waiting(1, kind="transactionid"), waiting(2), waiting(3), waiting(4, row=2)])
    profile.note([])
    profile.note([waiting(2), waiting(5, relation="", row=None, kind="advisory")])

    assert (profile.looks, profile.busy_looks) == (3, 2)
    assert profile.seen == {"row of accounts": 5, "advisory": 1}
    assert profile.most_at_a_row == {"row of accounts": 3}
    assert len(profile.waits["row of accounts"]) == 4


def test_the_time_waited_is_that_of_all_who_wait() -> None:
    profile = LockProfile()
    profile.note([waiting(1), waiting(2)])
    profile.note([])
    assert profile.waited_ms("row of accounts", seconds=3.0) == 3000
