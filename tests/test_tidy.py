"""What no linter checks: sizes, timeouts of every step, and names that must not change."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest
from temporalio import activity, workflow

from composition.activities import Activities
from domain import ports
from workflows.batch import BatchWorkflow
from workflows.books import CheckBooksWorkflow
from workflows.delivery import DeliveryWorkflow
from workflows.generation import GenerationWorkflow
from workflows.reconcile import ReconcileWorkflow

ROOT = Path(__file__).parents[1]
# The classes whose methods the worker registers.
OWNERS = tuple(get_type_hints(Activities).values())
WORKFLOWS = (
    BatchWorkflow,
    CheckBooksWorkflow,
    DeliveryWorkflow,
    GenerationWorkflow,
    ReconcileWorkflow,
)
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 50
# Files of declarations may be longer.
DECLARATIONS = {"domain/errors.py"}
# Histories and running workflows hold these names: changing one strands them.
WIRE_NAMES = {
    "workflow": {
        "BatchWorkflow",
        "CheckBooksWorkflow",
        "DeliveryWorkflow",
        "GenerationWorkflow",
        "ReconcileWorkflow",
    },
    "activity": {
        "ask_for_place",
        "check_input",
        "reserve_credits",
        "settle_credits",
        "refund_credits",
        "submit_job",
        "fetch_result",
        "cancel_job",
        "store_assets",
        "reconcile",
        "send_webhook",
        "check_books",
        "validate_batch",
        "advance_batch",
    },
    "signal": {
        "report_result",
        "request_cancel",
        "grant_place",
        "provider_closed",
        "send_now",
        "request_batch_cancel",
    },
    "query": {"status"},
    "update": set[str](),
}


def _sources() -> dict[str, ast.Module]:
    """Return every Python file of the repository, except in folders that begin with a dot."""
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    paths = [*ROOT.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(paths)}


SOURCES = _sources()


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Return each call with its dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def _defined(kind: str) -> set[str]:
    if kind == "workflow":
        found = [workflow._Definition.must_from_class(each) for each in WORKFLOWS]
        return {definition.name or "" for definition in found}
    if kind == "activity":
        methods = [method for owner in OWNERS for _, method in inspect.getmembers(owner, inspect.isfunction)]
        definitions = [activity._Definition.from_callable(method) for method in methods]
        return {definition.name or "" for definition in definitions if definition is not None}
    handlers = [
        getattr(workflow._Definition.must_from_class(each), {"query": "queries"}.get(kind, f"{kind}s"))
        for each in WORKFLOWS
    ]
    return {name for by_name in handlers for name in by_name}


@pytest.mark.parametrize("kind", sorted(WIRE_NAMES))
def test_wire_names_are_those_that_histories_hold(kind: str) -> None:
    assert _defined(kind) == WIRE_NAMES[kind]


def test_modules_are_short() -> None:
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in SOURCES}
    too_long = {name for name, lines in lengths.items() if lines > MAX_MODULE_LINES}
    assert too_long - DECLARATIONS == set()


def test_functions_are_short() -> None:
    too_long = [
        f"{name}: {node.name}"
        for name, tree in SOURCES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert too_long == []


def test_every_step_states_its_time_out_and_its_retries() -> None:
    steps = [
        (f"{name}:{call.lineno}", {keyword.arg for keyword in call.keywords})
        for name, tree in SOURCES.items()
        if name.startswith("workflows/")
        for called, call in _calls(tree)
        if called.split(".")[-1].startswith(("execute_activity", "execute_local_activity", "start_activity"))
        or called.split(".")[-1].startswith("start_local_activity")
    ]
    assert len(steps) >= 7
    wanted = {"start_to_close_timeout", "retry_policy"}
    assert [place for place, keywords in steps if not wanted <= keywords] == []


def test_no_two_ports_share_the_name_of_a_method() -> None:
    """Allow a search for a method to find only its callers."""
    protocols = [port for port in vars(ports).values() if getattr(port, "_is_protocol", False)]
    owners: dict[str, set[str]] = {}
    for port in protocols:
        for name, value in vars(port).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                owners.setdefault(name, set()).add(port.__name__)
    assert len(protocols) > 15
    assert {name: found for name, found in owners.items() if len(found) > 1} == {}


def test_every_package_says_what_it_is_for() -> None:
    packages = {name: tree for name, tree in SOURCES.items() if name.endswith("__init__.py")}
    assert len(packages) >= 10
    assert [name for name, tree in packages.items() if not (ast.get_docstring(tree) or "").strip()] == []
