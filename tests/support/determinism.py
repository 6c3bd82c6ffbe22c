"""Finds in the source of workflow code what a replay would do differently.

Production runs workflows outside the SDK's sandbox. The sandbox's own list of what it refuses is applied to
the source here, with what it does not look for: modules that nobody has judged, the order of sets, hashes and
addresses, and state that all runs of a process share (`tests/support/shared_state.py`).
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from temporalio.worker.workflow_sandbox import SandboxMatcher, SandboxRestrictions
from temporalio.worker.workflow_sandbox._restrictions import RestrictionContext

from tests.support.qualified_names import BUILTINS, QualifiedNames
from tests.support.shared_state import shared_state

ROOT = Path(__file__).parents[2]
# All that a workflow runs. Of activities it knows the names, by which it schedules them: their code runs
# outside, where clocks and networks are their business. So it is not searched, and may not be called.
PACKAGES = ("workflows", "domain")
OURS = (*PACKAGES, "activities")
# What asks nothing of the outside, but for the members that the sandbox's list or REFUSED names.
HARMLESS = frozenset(
    {
        *(
            "abc",
            "asyncio",
            "base64",
            "collections",
            "collections.abc",
            "contextlib",
            "dataclasses",
            "datetime",
            "decimal",
        ),
        *(
            "enum",
            "functools",
            "hashlib",
            "hmac",
            "ipaddress",
            "itertools",
            "json",
            "math",
            "pathlib",
            "re",
            "types",
        ),
        *("typing", "urllib.parse", "temporalio.common", "temporalio.exceptions", "temporalio.workflow"),
    }
)
# Hashes and addresses differ between processes; `unsafe` tells a replay from a first run, and hides code from
# the sandbox that tests run in.
REFUSED = frozenset(
    {
        *(f"{BUILTINS}.{name}" for name in ("hash", "id", "print", "eval", "exec", "compile", "__import__")),
        *(f"{BUILTINS}.{name}" for name in ("globals", "locals", "vars")),
        *(f"asyncio.{name}" for name in ("to_thread", "run", "Runner", "new_event_loop", "get_event_loop")),
        *(
            f"asyncio.{name}"
            for name in ("get_running_loop", "create_subprocess_exec", "create_subprocess_shell")
        ),
        *(f"asyncio.{name}" for name in ("open_connection", "open_unix_connection", "start_server")),
        *("decimal.getcontext", "decimal.setcontext", "temporalio.workflow.unsafe"),
    }
)
_SANDBOX = SandboxRestrictions.invalid_module_members_default
_AT_RUN_TIME = RestrictionContext()
_AT_RUN_TIME.is_runtime = True
_SETS = {f"{BUILTINS}.set", f"{BUILTINS}.frozenset"}
_KEEP_ORDER = {f"{BUILTINS}.{name}" for name in ("enumerate", "iter", "list", "map", "next", "tuple", "zip")}


def workflow_modules() -> dict[str, ast.Module]:
    """Return the modules of workflow code by their names."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    trees = [ast.parse(path.read_text()) for path in paths]
    return {name.removesuffix(".__init__"): tree for name, tree in zip(names, trees, strict=True)}


def sandbox_paths(
    matcher: SandboxMatcher = _SANDBOX, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Return what the SDK's sandbox refuses in a workflow; `*` stands for every member."""
    if matcher.match_self:
        yield path
    yield from ((*path, name) for name in sorted(matcher.access | matcher.use))
    for name, child in sorted(matcher.children.items()):
        yield from sandbox_paths(child, (*path, name))


def _methods() -> frozenset[str]:
    """Return the refused methods of classes, such as `now` and `read_text`, but not those of plain values."""
    refused = {path[2] for path in sandbox_paths() if len(path) == 3 and path[2][0].isalpha()}
    of_values = {name for kind in (str, bytes, list, dict, set, tuple, re.Match) for name in dir(kind)}
    return frozenset(refused - of_values | {"run_in_executor"})


METHODS = _methods()


def violations(modules: Mapping[str, ast.Module]) -> list[str]:
    """Return what is refused, each with its place."""
    names = QualifiedNames(modules)
    found = [
        f"{module}:{line} {what}"
        for module, tree in modules.items()
        for line, what in (*_Search(names, module).of(tree), *shared_state(tree))
    ]
    return list(dict.fromkeys(found))


class _Search:
    """Searches one module."""

    def __init__(self, names: QualifiedNames, module: str) -> None:
        self._names = names
        self._module = module

    def of(self, tree: ast.Module) -> Iterator[tuple[int, str]]:
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt | ast.expr):
                yield from ((node.lineno, what) for what in self._refused(node))

    def _refused(self, node: ast.stmt | ast.expr) -> Iterator[str]:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield from (f"imports {name}" for name in _imported(node) if not _is_allowed(name))
            case ast.Name(ctx=ast.Load()) | ast.Attribute():
                if (path := self._path(node)) and _is_refused(path):
                    yield f"names {path}"
            case ast.Call():
                yield from self._refused_call(node)
            case ast.For(iter=source):
                yield from self._refused_order(source)
            case ast.ListComp() | ast.DictComp() | ast.GeneratorExp():
                yield from (what for each in node.generators for what in self._refused_order(each.iter))

    def _refused_call(self, call: ast.Call) -> Iterator[str]:
        path = self._path(call.func) or ""
        if path.startswith("activities."):
            yield f"calls {path}, which a workflow may only schedule"
        if path == f"{BUILTINS}.getattr" and self._path(call.args[0]):
            yield "looks up a name that nobody can read here"
        if isinstance(call.func, ast.Attribute):
            is_unknown = path.partition(".")[0] in ("", *OURS)
            if is_unknown and call.func.attr in METHODS:
                yield f"calls {call.func.attr}() of something"
            if call.func.attr == "pop" and self._is_set(call.func.value):
                yield "depends on the order of a set"
        if path in _KEEP_ORDER or (isinstance(call.func, ast.Attribute) and call.func.attr == "join"):
            yield from (what for each in call.args for what in self._refused_order(each))

    def _refused_order(self, source: ast.expr) -> Iterator[str]:
        if self._is_set(source):
            yield "depends on the order of a set"

    def _is_set(self, node: ast.expr) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=function):
                return self._path(function) in _SETS
            case ast.BinOp(left=left, right=right, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
                return self._is_set(left) or self._is_set(right)
            case ast.Name():
                value = self._names.value_of(self._module, node.id)
                return value is not None and self._is_set(value)
        return False

    def _path(self, node: ast.expr) -> str | None:
        return self._names.path_of(self._module, node)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Return the modules that an import names; `from temporalio import workflow` names two levels."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif _is_allowed(node.module or ""):
        yield node.module or ""
    else:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_allowed(module: str) -> bool:
    return module in HARMLESS or module.partition(".")[0] in OURS


def _is_refused(path: str) -> bool:
    parts = path.split(".")
    by_sandbox = any(
        _SANDBOX.match_access(_AT_RUN_TIME, *each, include_use=True) for each in (parts, (*parts, "__call__"))
    )
    return by_sandbox or path in REFUSED or any(path.startswith(f"{name}.") for name in REFUSED)
