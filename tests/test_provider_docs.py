"""docs/providers.md lists every error of every provider as its table maps it, and no other."""

import re
from pathlib import Path

import pytest

from adapters.providers.http.error_mapping import ErrorMapping
from adapters.providers.spec import provider_specs
from domain.errors import SubmitAmbiguous, TransientError

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "providers.md").read_text()
GUIDE = (ROOT / "docs" / "add-a-provider.md").read_text()
TABLES = {spec.name: spec.errors for spec in provider_specs()}
ROWS = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (.+) \|$", DOCUMENT, re.MULTILINE)


def retry_cell(mapping: ErrorMapping) -> str:
    if issubclass(mapping.error, TransientError):
        return "by us"
    if issubclass(mapping.error, SubmitAmbiguous):
        return "never"
    return "new generation" if mapping.error.retryable else "no"


@pytest.mark.parametrize("provider", TABLES)
def test_every_error_has_one_row_in_the_order_of_the_table(provider: str) -> None:
    assert [name for documented, name, _ in ROWS if documented == provider] == list(TABLES[provider])


def test_no_other_provider_is_documented() -> None:
    assert {provider for provider, _, _ in ROWS} == set(TABLES)


@pytest.mark.parametrize(("provider", "name", "cells"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_a_row_says_what_the_adapter_does(provider: str, name: str, cells: str) -> None:
    mapping = TABLES[provider][name]
    code, how, then, charged, stage = cells.split(" | ")

    assert code == f"`{mapping.error.code}`"
    assert then == retry_cell(mapping)
    assert charged == ("no" if mapping.does_not_charge else "yes")
    assert stage == (mapping.moderated_at or "\u2013")
    # An accepted job or a whole response is never ambiguous, and is never sent again.
    assert how == "raised" if then in ("by us", "never") else how in ("raised", "failed", "raised, failed")


@pytest.mark.parametrize("provider", TABLES)
def test_a_provider_has_its_row_and_its_section(provider: str) -> None:
    lines = re.findall(rf"^\| `{provider}` \| (?:job|synchronous) \|", DOCUMENT, re.MULTILINE)
    headings = [heading.lower() for heading in re.findall(r"^## (.+)$", DOCUMENT, re.MULTILINE)]

    assert len(lines) == 1
    assert provider in headings or f"Provider id `{provider}`." in DOCUMENT


def test_files_that_the_guide_names_are_there() -> None:
    folders = "adapters|composition|devstack|docs|domain|simulator|tests"
    named = set(re.findall(rf"`((?:{folders})/[\w./-]+)`", GUIDE))

    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("part", "files", "lines"), re.findall(r"^\| `([\w/.]+)` \| (\d+) \| (\d+) \|$", GUIDE, re.MULTILINE)
)
def test_the_guide_counts_what_a_provider_takes(part: str, files: str, lines: str) -> None:
    found = [ROOT / part] if (ROOT / part).is_file() else sorted((ROOT / part).glob("*.*"))
    counted = sum(len(path.read_text().splitlines()) for path in found)

    assert len(found) == int(files)
    assert counted == pytest.approx(int(lines), rel=0.1)
