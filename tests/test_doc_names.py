"""Every path, link, command, route, setting and identifier that a document names exists."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from adapters.catalog.models_toml import load_catalog
from adapters.providers.spec import provider_specs
from admin.__main__ import _parser as admin_parser
from api.app import BodyLimits, build_app
from devstack.demo.cases import CASES
from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[1]
# A decision tells what was true on its day, so the names in it may have gone.
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
BY_NAME = {path.relative_to(ROOT).as_posix(): path for path in DOCUMENTS}
WITH_DECISIONS = BY_NAME | {path.relative_to(ROOT).as_posix(): path for path in DECISIONS}
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
# Of a provider, of Temporal, of a library in a measurement, and the prefix of a provider's settings.
FOREIGN = {
    "/v1/webhooks/default/secret",
    "NAME_API_KEY",
    "NAME_SUBMITS_PER_SECOND",
    "_sum",
    "_total",
    "deprecate_patch",
    "fal_max_queue_length",
    "sniffio",
    "temporal_",
}
IDENTIFIER = re.compile(r"[A-Za-z_][\w.]*(\(\))?")
FILE = re.compile(r"[\w-]+\.(py|toml|yml|md)")
PROVIDERS = tuple(spec.name for spec in provider_specs())
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=scaled(30),
    )
    return listed.stdout.splitlines()


def _source() -> str:
    sources = [
        name
        for name in _tracked()
        if name.endswith((".py", ".sql", ".toml", ".yml", ".go")) or "." not in name or name == ".env.example"
    ]
    return "\n".join((ROOT / name).read_text() for name in sources if not name.endswith("lock"))


SOURCE = _source()
_SOURCE_WORDS = set(re.findall(r"\w+", SOURCE))
# A setting is written in capitals in an environment.
WORDS = _SOURCE_WORDS | {word.upper() for word in _SOURCE_WORDS if "_" in word}


def quoted(text: str) -> list[str]:
    """Return what is in backquotes, each on one line."""
    return re.findall(r"`([^`\n]+)`", text)


def commands(text: str) -> list[str]:
    """Return each line of an indented block, and what is in backquotes."""
    return [*re.findall(r"^    (.+)$", text, re.MULTILINE), *quoted(text)]


@pytest.mark.parametrize("name", WITH_DECISIONS)
def test_paths_and_links_lead_to_files(name: str) -> None:
    path = WITH_DECISIONS[name]
    text = path.read_text()
    paths = [
        word
        for word in quoted(text)
        if word.split("/")[0] in FOLDERS and re.fullmatch(r"[\w./-]+/[\w./-]*", word)
    ]
    files = [word for word in quoted(text) if FILE.fullmatch(word)]
    links = re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", text)

    tracked = {Path(each).name for each in _tracked()}
    missing = [each for each in paths if not (ROOT / each).exists()]
    missing += [each for each in files if each not in tracked]
    missing += [each for each in links if not (path.parent / each).exists()]
    assert missing == []


@pytest.mark.parametrize("name", BY_NAME)
def test_identifiers_are_in_the_code(name: str) -> None:
    named = [word for word in quoted(BY_NAME[name].read_text()) if IDENTIFIER.fullmatch(word)]
    parts = {part for word in named if not FILE.fullmatch(word) for part in re.findall(r"\w+", word)}
    # A counter's name ends in `_total` only where it is exported.
    assert {part for part in parts - FOREIGN if not {part, part.removesuffix("_total")} & WORDS} == set()


@pytest.mark.parametrize("name", BY_NAME)
def test_options_are_in_the_code(name: str) -> None:
    options = re.findall(r"`(--[a-z-]+)", BY_NAME[name].read_text())
    assert [option for option in options if f'"{option}"' not in SOURCE] == []


@pytest.mark.parametrize("name", BY_NAME)
def test_commands_can_be_given(name: str) -> None:
    text = "\n".join(commands(BY_NAME[name].read_text()))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    modules = [module for module in re.findall(r"python -m ([\w.]+)", text) if module != "pytest"]
    admin_commands = re.findall(r"python -m admin ([a-z-]+)", text)

    assert [make for make in re.findall(r"\bmake ([a-z]+)", text) if make not in targets] == []
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []
    assert [each for each in admin_commands if f"{each} " not in f"{_admin_help()} "] == []


def _admin_help() -> str:
    return " ".join(admin_parser().format_help().split())


@pytest.mark.parametrize("name", sorted(BY_NAME.keys() - {"docs/simulator.md"}))
def test_routes_are_served(name: str) -> None:
    app = build_app(BodyLimits(1, 1))
    paths = (*app.openapi()["paths"], *app.operators.openapi()["paths"])
    served = {_shape(path) for path in paths}
    named = re.findall(r"(?:GET|POST|DELETE) (/v1/[\w/{}:-]+)", BY_NAME[name].read_text())

    assert {route for route in named if _shape(route) not in served} <= FOREIGN


def _shape(route: str) -> str:
    return re.sub(r"\{[^}]+\}", "{}", route)


def test_numbers_of_the_readme_are_those_of_the_code() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    [(generations, demo_providers)] = re.findall(r"(\w+) generations,? over (\w+) providers", text)
    rows = re.findall(
        r"^\| ([A-Z]\w+|fal|Black Forest Labs) \|", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    catalog = load_catalog(ROOT / "models.toml", providers=PROVIDERS, queue_timeout_seconds=1)

    assert NUMBERS[generations] == len(CASES)
    assert NUMBERS[demo_providers] == len({catalog.models[case.model].provider for case in CASES})
    assert len(rows) - 1 == len(PROVIDERS)  # one is the header


def test_number_of_providers_in_the_architecture_is_that_of_the_code() -> None:
    counts = re.findall(r"(\w+) providers\b", (ROOT / "ARCHITECTURE.md").read_text())
    assert {NUMBERS[count] for count in counts if count in NUMBERS} <= {len(PROVIDERS)}
