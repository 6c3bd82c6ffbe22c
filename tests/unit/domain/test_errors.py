"""The error tree: every class is in it and has its own code and message."""

import re

import pytest

from domain import errors
from domain.errors import ServiceError, TransientError, describe, every_error


def leaves(base: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    children = base.__subclasses__()
    return [leaf for child in children for leaf in leaves(child)] or [base]


LEAVES = leaves()


def test_every_leaf_has_its_own_code_and_message() -> None:
    codes = [leaf.code for leaf in LEAVES]
    messages = [leaf.message for leaf in LEAVES]

    assert len({*codes, ServiceError.code}) == len(LEAVES) + 1
    assert len({*messages, ServiceError.message}) == len(LEAVES) + 1


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_code_is_the_name_of_its_class(leaf: type[ServiceError]) -> None:
    assert leaf.code == re.sub(r"(?<!^)(?=[A-Z])", "_", leaf.__name__).lower()


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_message_is_a_sentence_without_anything_to_fill_in(leaf: type[ServiceError]) -> None:
    assert leaf.message[0].isupper()
    assert leaf.message[-1] in ".\u2026"
    assert not set("{}%") & set(leaf.message)


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_detail_is_what_the_error_says_and_the_message_stays(leaf: type[ServiceError]) -> None:
    assert (str(leaf("a provider's words")), str(leaf())) == ("a provider's words", leaf.message)
    assert leaf("a provider's words").message == leaf.message


def test_the_tree_in_the_docstring_is_that_of_the_classes() -> None:
    def drawn(error: type[ServiceError], depth: int) -> list[str]:
        lines = [f"{'    ' * depth}{error.__name__}"]
        return lines + [line for child in error.__subclasses__() for line in drawn(child, depth + 1)]

    tree = (errors.__doc__ or "").partition("\n\n")[2].rstrip().splitlines()
    assert tree == drawn(ServiceError, 0)


def test_codes_lead_back_to_their_classes() -> None:
    assert every_error() == {leaf.code: leaf for leaf in LEAVES}
    assert {describe(leaf.code) for leaf in LEAVES} == set(LEAVES)
    assert describe("no_such_code") is ServiceError


def test_every_transient_error_can_say_when_to_come_back() -> None:
    transient = [leaf for leaf in LEAVES if issubclass(leaf, TransientError)]

    assert [error(retry_after_seconds=1.5).retry_after_seconds for error in transient] == [1.5] * len(
        transient
    )
    assert all(error.retryable for error in transient)


def test_invalid_input_names_each_field() -> None:
    error = errors.InvalidInput(errors=(("n", "1 to 4"), ("size", "one of 1x1")))

    assert str(error) == "n: 1 to 4; size: one of 1x1"
    assert str(errors.InvalidInput()) == errors.InvalidInput.message
