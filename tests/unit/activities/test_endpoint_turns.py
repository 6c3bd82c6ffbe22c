"""Turns at receivers: a few for each, a few for each tenant, and none while one rests."""

from contextlib import ExitStack

from activities.endpoint_turns import EndpointTurns


def test_each_receiver_and_each_tenant_has_a_few_at_once() -> None:
    turns = EndpointTurns(max_of_receiver=2, max_of_tenant=3)
    with ExitStack() as running:
        given = [running.enter_context(turns.turn("a", "one")) for _ in range(3)]
        given += [running.enter_context(turns.turn("a", "two")) for _ in range(2)]
        given += [running.enter_context(turns.turn("b", "one"))]
        assert given == [True, True, False, True, False, True]
        assert turns.refused == 2
    with turns.turn("a", "one") as is_mine:
        assert is_mine


def test_a_receiver_that_rests_has_none_and_others_have_theirs() -> None:
    turns = EndpointTurns()
    turns.rest("a", "one", 3600)
    with turns.turn("a", "one") as first, turns.turn("a", "two") as second, turns.turn("b", "one") as third:
        assert (first, second, third) == (False, True, True)
    turns.rest("a", "one", 0)
    with turns.turn("a", "one") as is_mine:
        assert is_mine
