"""Each import contract of pyproject.toml refuses what it is there to refuse, in a copy of the tree."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
PACKAGES: list[str] = CONFIG["root_packages"]
# Every package of the service, and those beside the two modules that are let through.
SERVICE = [package for package in PACKAGES if package not in {"benchmarks", "devstack", "simulator"}]
SERVICE += ["adapters.providers.fal", "adapters.providers.http", "adapters.storage", "adapters.transport"]
TRANSPORTS = {"httpcore", "httpx", "minio", "urllib3"}
TIMEOUT_SECONDS = 60

# (contract, the package that gets the import, what it imports)
FORBIDDEN = [
    ("Imports point one way", "api", "composition"),
    ("Imports point one way", "composition", "admin"),
    ("Imports point one way", "workflows", "api"),
    ("Imports point one way", "activities", "workflows"),
    ("Imports point one way", "activities", "adapters"),
    ("Imports point one way", "adapters", "activities"),
    ("Imports point one way", "domain", "activities"),
    *(
        ("Only composition imports adapters and settings", package, imported)
        for package in PACKAGES
        if package not in {"adapters", "composition"}
        for imported in ("adapters.temporal", "settings")
    ),
    ("Adapters are given plain values", "adapters", "settings"),
    ("Adapters are given plain values", "adapters", "runtime"),
    ("Workflows and activities never touch the outside world", "workflows", "httpx"),
    ("Workflows and activities never touch the outside world", "activities", "minio"),
    ("The domain is plain Python", "domain", "temporalio"),
    ("The domain is plain Python", "domain", "pydantic"),
    ("The API speaks HTTP and knows neither Temporal nor SQL", "api.routes", "temporalio"),
    ("The API speaks HTTP and knows neither Temporal nor SQL", "api.services", "sqlalchemy"),
    ("The API speaks HTTP and knows neither Temporal nor SQL", "api.http", "composition"),
    ("The service knows neither its simulators nor its development stack", "api", "simulator"),
    ("The service knows neither its simulators nor its development stack", "adapters", "devstack"),
    ("The service knows neither its simulators nor its development stack", "composition", "benchmarks"),
    ("The simulator is written from the providers' documents alone", "simulator", "devstack"),
    ("The simulator is written from the providers' documents alone", "simulator", "domain"),
    ("The development stack starts the service as its users do", "devstack", "adapters"),
    ("The development stack starts the service as its users do", "devstack", "domain"),
    ("The runtime depends on no other package", "runtime", "domain"),
    *(("Nothing imports the worker", package, "worker") for package in PACKAGES),
    ("Only the children that decode images import Pillow", "api.services", "PIL"),
    ("Only the children that decode images import Pillow", "composition", "adapters.images.child"),
    ("Only the children that decode images import Pillow", "adapters.providers.http", "PIL"),
    *(
        ("One module of the service imports httpx", package, imported)
        for package in SERVICE
        for imported in ("httpx", "httpcore")
    ),
    *(
        ("One module of the service imports minio", package, imported)
        for package in SERVICE
        for imported in ("minio", "urllib3")
    ),
    ("Inside the development stack imports point one way", "devstack.process", "devstack.stack"),
    ("Providers know nothing of one another", "adapters.providers.fal", "adapters.providers.bfl"),
    ("Providers know nothing of one another", "adapters.providers.http", "adapters.providers.fal"),
]


def _module(imported: str) -> str:
    return f"imports_{imported.replace('.', '_')}"


def _lint(tree: Path) -> str:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(  # noqa: S603 - our own command line
        [*command, "--no-cache"], cwd=tree, capture_output=True, text=True, timeout=scaled(TIMEOUT_SECONDS)
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of every package that is under a contract."""
    tree = tmp_path_factory.mktemp("imports")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("worker.py", "settings.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tree / name)
    return tree


@pytest.fixture(scope="module")
def refused(tree: Path) -> str:
    """Return what import-linter prints once every forbidden import is there."""
    assert f"Contracts: {len(CONFIG['contracts'])} kept, 0 broken." in _lint(tree)
    for _, package, imported in FORBIDDEN:
        path = tree / package.replace(".", "/") / f"{_module(imported)}.py"
        path.write_text(f"import {imported}\n")
    return _lint(tree)


@pytest.mark.parametrize(("contract", "package", "imported"), FORBIDDEN)
def test_a_forbidden_import_is_refused(refused: str, contract: str, package: str, imported: str) -> None:
    broken = refused.partition("Broken contracts")[2]
    section = broken.partition(f"\n{contract}\n---")[2].partition("\n---")[0]

    unwrapped = " ".join(section.split())
    assert f"{package}.{_module(imported)} -> {imported} (l.1)" in unwrapped, refused


def test_every_contract_has_an_import_that_it_refuses() -> None:
    assert {contract["name"] for contract in CONFIG["contracts"]} == {contract for contract, *_ in FORBIDDEN}


def test_every_package_is_under_the_contracts() -> None:
    """import-linter does not see single modules and tests; the next test holds the modules."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests", "migrations"} == set(PACKAGES)


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("worker.py", {"activities", "composition", "domain", "runtime", "workflows"}),
        ("settings.py", {"domain"}),
    ],
)
def test_a_top_level_module_imports_only_allowed_packages(module: str, allowed: set[str]) -> None:
    watched = {*PACKAGES, *TRANSPORTS, "settings", "worker", "tests"}
    tree = ast.parse((ROOT / module).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name.partition(".")[0] for name in imported} & watched <= allowed
