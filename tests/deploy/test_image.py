"""The Dockerfile: nothing runs as root, everything is pinned, and it copies all that is needed."""

import ast
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from devstack.install.programs import MINIO
from tests.deploy.compose_file import ROOT, Service, read_env
from tests.support.time_limits import scaled

DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENTRY_POINTS = ("api.__main__", "worker", "admin.__main__", "simulator.__main__")


def stage(name: str) -> str:
    """Return the instructions of one stage."""
    [body] = re.findall(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    return str(body)


def copied_from_context(text: str) -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
    return [source.rstrip("/") for line in lines for source in line.split()[:-1]]


def imports(module: str) -> Iterator[str]:
    """Return the modules that a module imports."""
    path = ROOT.joinpath(*module.split("."))
    file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_ours(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def reached() -> tuple[set[str], set[str]]:
    """Return our modules that the entry points import, and the names of other packages."""
    migrations = [f"migrations.{path.stem}" for path in (ROOT / "migrations").glob("*.py")]
    revisions = [f"migrations.versions.{path.stem}" for path in (ROOT / "migrations/versions").glob("*.py")]
    waiting, ours, others = [*ENTRY_POINTS, *migrations, *revisions], set[str](), set[str]()
    while waiting:
        module = waiting.pop()
        if module in ours:
            continue
        ours.add(module)
        for name in imports(module):
            if is_ours(name):
                waiting.append(name)
            elif not is_ours(name.rpartition(".")[0]):
                others.add(name.partition(".")[0])
    return ours, others - set(sys.stdlib_module_names)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return the files in the image's working folder."""
    for source in copied_from_context(stage("app")):
        path = ROOT / source
        if path.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, tmp_path / source, ignore=ignored)
        else:
            shutil.copy(path, tmp_path)
    return tmp_path


def test_every_base_image_is_pinned() -> None:
    images = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    given = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)", DOCKERFILE, re.MULTILINE))

    assert images == {f"${{{name}}}" for name in given}
    assert len(given) == 3
    for image in given.values():
        assert re.search(r":\d+\.\d+\.\d+", image), image


def test_the_base_images_are_those_that_compose_hands_in(compose: dict[str, Service]) -> None:
    example = read_env(ROOT / ".env.example")
    given = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)", DOCKERFILE, re.MULTILINE))
    handed_in = [service["build"]["args"] for service in compose.values() if "build" in service]

    for name, image in given.items():
        assert example[name] == image
        assert {args[name] for args in handed_in if name in args} == {image}


@pytest.mark.parametrize("name", ["app", "minio"])
def test_what_runs_does_not_run_as_root(name: str) -> None:
    users = re.findall(r"^USER (\S+)", stage(name), re.MULTILINE)

    assert users == ["10001:10001"]
    assert stage(name).rindex("USER ") > max(stage(name).rindex(word) for word in ("RUN ", "COPY "))


def test_packages_are_the_locks_by_hash_and_nothing_for_developers() -> None:
    assert copied_from_context(stage("packages")) == ["requirements.lock"]
    for flag in ("--require-hashes", "--no-deps", "--only-binary :all:", "-r requirements.lock"):
        assert flag in stage("packages")
    assert "requirements-dev" not in DOCKERFILE


def test_minio_is_the_version_that_make_up_builds() -> None:
    assert f"ARG MINIO_VERSION={MINIO.version}\n" in stage("minio-build")
    assert f'"{MINIO.package}@${{MINIO_VERSION}}"' in stage("minio-build")


def test_no_secret_goes_into_an_image() -> None:
    """A secret of the build is a file that exists for one step, and in no layer."""
    instructions = re.sub(r"^#.*$", "", DOCKERFILE, flags=re.MULTILINE)
    mounted = re.sub(r"--mount=type=secret,id=build_ca|/run/secrets/build_ca", "", instructions)

    assert mounted.count("ENV") == instructions.count("ENV")
    assert not re.search(r"(?i)password|secret|token|_key", mounted)


def test_what_fetches_takes_a_private_certificate_authority(compose: dict[str, Service]) -> None:
    for name, variable in (("packages", "PIP_CERT"), ("minio-build", "SSL_CERT_FILE")):
        assert "RUN --mount=type=secret,id=build_ca " in stage(name)
        assert f"then export {variable}=/run/secrets/build_ca; fi" in stage(name)
    for service in compose.values():
        if "build" in service:
            assert service["build"]["secrets"] == ["build_ca"]


def test_the_application_has_no_installer() -> None:
    assert "venv --without-pip /opt/venv" in stage("packages")
    for name in ("ensurepip", "pip", "setuptools", "wheel"):
        assert f"'{name}'" in stage("app")
    assert not re.search(r"apt-get|apk |pip install", stage("app"))


def test_what_is_copied_exists_and_reaches_the_build() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignore if line.startswith("!")}
    sources = set(copied_from_context(DOCKERFILE))

    assert "*" in ignore
    assert sources == let_in
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not any(fnmatch(source, pattern) for pattern in (".env*", ".git*", ".darkroom*", "tests*"))


def test_every_module_that_an_entry_point_reaches_is_copied() -> None:
    copied = {source.removesuffix(".py") for source in copied_from_context(stage("app"))}
    ours, _ = reached()

    assert {module.partition(".")[0] for module in ours} <= copied
    assert copied - {module.partition(".")[0] for module in ours} == {"models.toml"}


def test_every_package_that_is_imported_is_locked() -> None:
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    distributions = importlib.metadata.packages_distributions()
    _, others = reached()

    assert others >= {"fastapi", "temporalio", "minio", "starlette"}
    for package in others:
        names = {re.sub(r"[-_.]+", "-", name).lower() for name in distributions[package]}
        assert names & locked, f"{package} is in no locked distribution"


def test_the_copied_tree_starts_on_its_own(tree: Path, dot_env: dict[str, str]) -> None:
    """Import every entry point, and read its files, from the copy alone."""
    settings = {
        "MASTER_KEY": dot_env["MASTER_KEY"],
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "S3_ACCESS_KEY": "access",
        "S3_SECRET_KEY": dot_env["S3_SECRET_KEY"],
    }
    code = "\n".join(
        (
            "import importlib, pathlib, sys",
            "sys.path.insert(0, '')",
            f"for name in {ENTRY_POINTS!r}: importlib.import_module(name)",
            "import admin.bootstrap, composition",
            "settings = composition.read_settings()",
            "from composition.repositories import catalog; print(sorted(catalog(settings).models))",
            "config = admin.bootstrap.alembic_config(settings.database_url.get_secret_value())",
            "from alembic.script import ScriptDirectory",
            "print(ScriptDirectory.from_config(config).get_current_head())",
        )
    )
    started = subprocess.run(  # noqa: S603
        [sys.executable, "-P", "-c", code],
        cwd=tree,
        env=settings,
        capture_output=True,
        text=True,
        timeout=scaled(45),
    )

    assert started.returncode == 0, started.stderr
    assert "flux-schnell" in started.stdout
    assert re.search(r"^\d{4}", started.stdout, re.MULTILINE), started.stdout


def test_the_workflows_are_there_as_bytecode(tree: Path) -> None:
    """Compile with the image's command, and import the bytecode."""
    [command] = re.findall(r"^RUN (python -m compileall .+)$", stage("app"), re.MULTILINE)
    python, *arguments = command.split()
    assert python == "python"

    env = {"PYTHONDONTWRITEBYTECODE": "1"}  # As in the image: it is about imports only.
    subprocess.run([sys.executable, *arguments], cwd=tree, env=env, check=True, timeout=scaled(30))  # noqa: S603

    sources = sorted((tree / "workflows").rglob("*.py"))
    assert sources
    for source in sources:
        compiled = Path(importlib.util.cache_from_source(source)).read_bytes()
        unchecked_hash = 1
        assert compiled[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(compiled[4:8], "little") == unchecked_hash
