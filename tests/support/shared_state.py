"""Finds state in the source of a module that all runs in a process would share.

The sandbox gives each run modules of its own. Outside it, what one run changes in a module, others read.
"""

import ast
from collections.abc import Iterator

# A type checker refuses to change what is declared as one of these.
_READ_ONLY = ("Mapping", "Sequence", "Collection", "Set", "tuple", "frozenset")
_CHANGEABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_MAKERS = (
    "list",
    "dict",
    "set",
    "bytearray",
    "defaultdict",
    "Counter",
    "deque",
    "OrderedDict",
    "count",
    "cycle",
    "iter",
)


def shared_state(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Return the line and the kind of each."""
    yield from _changeable_values(tree)
    shared = set(_shared_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield node.lineno, f"changes the module's {', '.join(node.names)}"
        elif isinstance(node, ast.Attribute | ast.Subscript) and _is_changed(node) and _root(node) in shared:
            yield node.lineno, f"changes {ast.unparse(node)}, which all runs share"


def _changeable_values(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Return what a module or a class is given once, and anybody can change."""
    bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    for statement in (statement for body in bodies for statement in body):
        match statement:
            case ast.Assign(targets=[ast.Name("__all__")]):
                pass
            case ast.AnnAssign(annotation=kind) if ast.unparse(kind).startswith(_READ_ONLY):
                pass
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) if _is_changeable(value):
                yield (
                    statement.lineno,
                    "shares a value that can be changed; declare it as a Mapping or Sequence",
                )


def _is_changeable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] in _MAKERS
    return isinstance(value, _CHANGEABLE)


def _shared_names(tree: ast.Module) -> Iterator[str]:
    """Return the names of modules, classes and values that exist once."""
    yield "cls"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    for statement in tree.body:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                yield name


def _is_changed(node: ast.Attribute | ast.Subscript) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
