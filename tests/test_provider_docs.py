"""docs/providers.md has every error of every provider as its adapter reads it, and nothing else."""

import re
from pathlib import Path

import pytest

from adapters.providers import bfl, fal, gemini, openai, replicate, together
from adapters.providers.http.error_mapping import Meaning, Meanings
from domain.errors import SubmitAmbiguous, TransientError

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "providers.md").read_text()
GUIDE = (ROOT / "docs" / "add-a-provider.md").read_text()
TABLES: dict[str, Meanings] = {
    "fal": fal.ERRORS,
    "replicate": replicate.ERRORS,
    "bfl": bfl.ERRORS,
    "openai": openai.ERRORS,
    "gemini": gemini.ERRORS,
    "together": together.ERRORS,
}
ROWS = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (.+) \|$", DOCUMENT, re.MULTILINE)


def again(meaning: Meaning) -> str:
    if issubclass(meaning.error, TransientError):
        return "by us"
    if issubclass(meaning.error, SubmitAmbiguous):
        return "never"
    return "anew" if meaning.error.retryable else "no"


def test_every_error_has_one_row_in_the_adapters_order_and_there_is_no_other() -> None:
    documented = [(provider, name) for provider, name, _ in ROWS]
    assert documented == [(provider, name) for provider, table in TABLES.items() for name in table]


@pytest.mark.parametrize(("provider", "name", "cells"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_a_row_says_what_the_adapter_does(provider: str, name: str, cells: str) -> None:
    meaning = TABLES[provider][name]
    code, how, then, charged, stage = cells.split(" | ")

    assert code == f"`{meaning.error.code}`"
    assert then == again(meaning)
    assert charged == ("no" if meaning.does_not_charge else "yes")
    assert stage == (meaning.at or "\u2013")
    # Of an accepted job or a whole answer nothing is unknown, and nothing is to be sent again.
    assert how == "raised" if then in ("by us", "never") else how in ("raised", "failed", "raised, failed")


@pytest.mark.parametrize("provider", TABLES)
def test_a_provider_has_its_line_and_its_section(provider: str) -> None:
    lines = re.findall(rf"^\| `{provider}` \| (?:job|synchronous) \|", DOCUMENT, re.MULTILINE)
    headings = [heading.lower() for heading in re.findall(r"^## (.+)$", DOCUMENT, re.MULTILINE)]

    assert len(lines) == 1
    assert provider in headings or f"Provider id `{provider}`." in DOCUMENT


def test_files_that_the_guide_names_are_there() -> None:
    folders = "adapters|composition|devstack|docs|domain|simulator|tests"
    named = set(re.findall(rf"`((?:{folders})/[\w./-]+)`", GUIDE))

    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
