"""The attempt's states and transitions: the same in the domain, in the database and in docs/attempts.md."""

import re
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from domain.attempt import TRANSITIONS, AttemptState
from domain.provider import AttemptRef
from tests.contracts.events import attempt_of_a_hold
from tests.contracts.subjects import Subject

DOCUMENT = (Path(__file__).parents[2] / "docs" / "attempts.md").read_text()
# How the database is brought to a state, one allowed step after another.
PATHS: dict[AttemptState, tuple[AttemptState, ...]] = {
    AttemptState.SENDING: (),
    **{state: (state,) for state in AttemptState if state is not AttemptState.SENDING},
}
_SET = """
UPDATE attempts SET state = :state, provider_job_id = 'job',
    result = CASE WHEN :is_final THEN '{"status": "failed"}'::jsonb END
WHERE generation_id = :id
"""


@pytest.fixture
async def attempt(subject: Subject) -> AttemptRef:
    attempt = await attempt_of_a_hold(subject)
    await subject.attempts.begin_submit(attempt)
    return attempt


async def set_state(subject: Subject, attempt: AttemptRef, state: AttemptState) -> None:
    await subject.books.sql(_SET, id=attempt.generation_id, state=state.value, is_final=state.is_final)


@pytest.mark.parametrize("new", AttemptState)
@pytest.mark.parametrize("old", AttemptState)
async def test_the_database_allows_exactly_the_transitions_of_the_domain(
    subject: Subject, attempt: AttemptRef, old: AttemptState, new: AttemptState
) -> None:
    for state in PATHS[old]:
        await set_state(subject, attempt, state)
    if old.allows(new):
        await set_state(subject, attempt, new)
    else:
        with pytest.raises(DBAPIError, match=f"may not go from {old} to {new}"):
            await set_state(subject, attempt, new)


@pytest.mark.parametrize("state", [state for state in AttemptState if state is not AttemptState.SENDING])
async def test_an_attempt_begins_as_sending(subject: Subject, state: AttemptState) -> None:
    attempt = await attempt_of_a_hold(subject)
    with pytest.raises(DBAPIError, match="an attempt begins as sending"):
        await subject.books.sql(
            "INSERT INTO attempts (generation_id, ordinal, provider, endpoint, state)"
            " VALUES (:id, 1, 'fal', 'e', :state)",
            id=attempt.generation_id,
            state=state.value,
        )


@pytest.mark.parametrize("state", AttemptState)
def test_the_document_says_what_a_state_means_for_money(state: AttemptState) -> None:
    [money] = re.findall(rf"^\| `{state}` \| .* \| ([a-z ]+) \|$", DOCUMENT, re.MULTILINE)
    assert (money == "took nothing") == state.took_nothing
    assert (money == "does not charge") == state.does_not_charge
    assert (money == "may be charged") == state.may_be_charged


@pytest.mark.parametrize("state", AttemptState)
def test_the_document_has_the_transitions_of_the_domain(state: AttemptState) -> None:
    [cell] = re.findall(
        rf"^\| `{state}` \| ([^|]*) \|$", DOCUMENT.partition("## Transitions")[2], re.MULTILINE
    )
    assert {AttemptState(name) for name in re.findall(r"`(\w+)`", cell)} == TRANSITIONS[state]
