"""Tells which thing a name in a module's source stands for: `clock.now`, after `import datetime as clock`."""

import ast
import builtins
from collections.abc import Iterator, Mapping

BUILTINS = "__builtins__"
# A name is followed through our own modules, such as one that imports `datetime` for others.
_MAX_STEPS = 10


class QualifiedNames:
    """The names that the modules bind by an import, or by an assignment of what was imported."""

    def __init__(self, modules: Mapping[str, ast.Module]) -> None:
        self._values = {name: dict(_assigned(tree)) for name, tree in modules.items()}
        self._bound = {name: dict(_imports(tree)) for name, tree in modules.items()}
        for name, values in self._values.items():
            for target, value in values.items():
                if isinstance(value, ast.Name | ast.Attribute) and (path := self.path_of(name, value)):
                    self._bound[name].setdefault(target, path)

    def value_of(self, module: str, name: str) -> ast.expr | None:
        """Return what the module assigns to a name, at its top or in a function."""
        return self._values[module].get(name)

    def path_of(self, module: str, node: ast.expr) -> str | None:
        """Return the dotted path of a name or an attribute of one; None for what a function computes."""
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        root = self._bound[module].get(node.id)
        if root is None and hasattr(builtins, node.id):
            root = f"{BUILTINS}.{node.id}"
        return self._followed(".".join((root, *attributes))) if root else None

    def _followed(self, path: str) -> str:
        for _ in range(_MAX_STEPS):
            step = next(self._steps(path), None)
            if step is None:
                break
            path = step
        return path

    def _steps(self, path: str) -> Iterator[str]:
        """Return what the path means where one of our modules has imported its next part."""
        for module, bound in self._bound.items():
            name, *rest = path.removeprefix(f"{module}.").split(".")
            if path.startswith(f"{module}.") and bound.get(name) and bound[name] != path:
                yield ".".join((bound[name], *rest))


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (root, root)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(target)], value=value):
                yield target, value
            case ast.AnnAssign(target=ast.Name(target), value=ast.expr() as value):
                yield target, value
