"""The shell scripts of deploy/, run as in their containers."""

import asyncio
import os
import re
import stat
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from devstack.install import programs
from devstack.process.log import silent
from devstack.process.stop_flag import StopFlag
from devstack.servers.running import Servers
from tests.deploy.compose_file import ROOT, Service, read_env
from tests.support.time_limits import scaled

SCRIPTS = [
    *(ROOT / "deploy" / name for name in ("make-env", "pin-images", "try-images")),
    *sorted((ROOT / "deploy").rglob("*.sh")),
    ROOT / "devstack" / "images" / "postgres-entrypoint.sh",
]

# It keeps each database's version in a file. A database without one has no version tables, as one that was
# only just created; one that has them is set back to 0.0 by `setup-schema`.
SQL_TOOL = """
[ -n "$SQL_PASSWORD" ] && [ "$SQL_HOST" = postgresql ] || exit 64
echo "$*" >>"$STATE/calls"
[ "$1" = --db ] || exit 64
version="$STATE/$2"
case $3 in
    setup-schema) [ "$4 $5" = '-v 0.0' ] && echo 0.0 >"$version" ;;
    update-schema)
        [ "$4" = -d ] && [ -d "$5" ] || exit 64
        [ -e "$STATE/refusal" ] && { cat "$STATE/refusal" >&2; exit 1; }
        [ -e "$version" ] || { echo 'error: relation "schema_version" does not exist (42P01)' >&2; exit 1; }
        [ -e "$STATE/no_btree_gin" ] && [ "$2" = temporal_visibility ] && {
            echo 'ERROR: extension "btree_gin" is not available (SQLSTATE 0A000)' >&2; exit 1; }
        [ "$(cat "$version")" = 0.0 ] && echo "$2" >>"$STATE/updated_from_nothing"
        echo 1.18 >"$version" ;;
    *) exit 64 ;;
esac
"""

Boot = Callable[[], subprocess.CompletedProcess[str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return the folder where the fake temporal-sql-tool stores its databases."""
    path = tmp_path / "state"
    path.mkdir()
    return path


@pytest.fixture
def boot(state: Path, tmp_path: Path, compose: dict[str, Service]) -> Boot:
    """Return a function that runs the schema step with its container's environment."""
    tools, schema = tmp_path / "tools", tmp_path / "schema"
    for database in ("temporal", "visibility"):
        (schema / database / "versioned").mkdir(parents=True)
    tools.mkdir()
    tool = tools / "temporal-sql-tool"
    tool.write_text(f"#!/bin/sh\n{SQL_TOOL}")
    tool.chmod(0o755)
    env = {
        **compose["temporal-schema"]["environment"],
        "PATH": f"{tools}:/usr/bin:/bin",
        "STATE": str(state),
        "SCHEMA_FOLDER": str(schema),
    }

    def run() -> subprocess.CompletedProcess[str]:
        (state / "calls").unlink(missing_ok=True)
        script = ROOT / "deploy" / "temporal" / "schema.sh"
        return subprocess.run(  # noqa: S603
            ["/bin/sh", script], env=env, capture_output=True, text=True, timeout=scaled(10)
        )

    return run


def calls(state: Path) -> list[tuple[str, str]]:
    """Return the commands by database."""
    lines = [line.split() for line in (state / "calls").read_text().splitlines()]
    return [(line[1], line[2]) for line in lines]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_is_plain_shell(script: Path) -> None:
    parsed = subprocess.run(["/bin/sh", "-n", script], capture_output=True, text=True, timeout=scaled(10))  # noqa: S603

    assert parsed.returncode == 0, parsed.stderr
    assert script.read_text().startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in script.read_text()


def test_the_scripts_that_containers_run_are_those_that_are_mounted(compose: dict[str, Service]) -> None:
    for name in ("temporal-schema", "temporal-init"):
        shell, script = compose[name]["entrypoint"]
        [(source, target, _)] = [volume.split(":") for volume in compose[name]["volumes"]]
        assert shell == "/bin/sh"
        assert (ROOT / source / Path(script).relative_to(target)).exists()


def test_the_first_boot_gives_both_databases_their_schema(boot: Boot, state: Path) -> None:
    assert boot().returncode == 0

    made = ["update-schema", "setup-schema", "update-schema"]
    assert calls(state) == [
        (database, command) for database in ("temporal", "temporal_visibility") for command in made
    ]
    assert {(state / name).read_text() for name in ("temporal", "temporal_visibility")} == {"1.18\n"}


def test_the_second_boot_sets_nothing_back(boot: Boot, state: Path) -> None:
    boot()
    (state / "updated_from_nothing").unlink()

    assert boot().returncode == 0
    assert calls(state) == [("temporal", "update-schema"), ("temporal_visibility", "update-schema")]
    assert not (state / "updated_from_nothing").exists()


def test_a_first_boot_that_broke_off_is_finished_by_the_next(boot: Boot, state: Path) -> None:
    (state / "temporal").write_text("1.18\n")

    assert boot().returncode == 0
    assert calls(state)[0] == ("temporal", "update-schema")
    assert (state / "updated_from_nothing").read_text() == "temporal_visibility\n"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ('password authentication failed for user "temporal" (SQLSTATE 28P01)', "refuses the user temporal"),
        ('database "temporal" does not exist (SQLSTATE 3D000)', "no such database at postgresql"),
        ("a statement of an update failed", "could not be updated; PostgreSQL's answer is above"),
    ],
)
def test_a_schema_that_cannot_be_updated_stops_the_start_with_its_reason(
    boot: Boot, state: Path, answer: str, sentence: str
) -> None:
    (state / "refusal").write_text(answer)

    refused = boot()

    assert refused.returncode != 0
    assert answer in refused.stdout
    assert sentence in refused.stderr
    assert "no schema yet" not in refused.stdout + refused.stderr
    # Above all, the versions of a database that has some are not set back.
    assert calls(state) == [("temporal", "update-schema")]


def test_a_postgresql_without_btree_gin_gets_a_sentence(boot: Boot, state: Path) -> None:
    (state / "no_btree_gin").touch()

    refused = boot()

    assert refused.returncode != 0
    assert (
        "temporal_visibility: this PostgreSQL does not let us have its extension btree_gin" in refused.stderr
    )
    assert (state / "temporal").exists()


def test_no_password_is_on_a_command_line(boot: Boot, state: Path, dot_env: dict[str, str]) -> None:
    boot()

    assert dot_env["TEMPORAL_DB_PASSWORD"] not in (state / "calls").read_text()


async def test_the_namespace_is_made_once_and_its_retention_kept(
    servers: Servers, tmp_path: Path, compose: dict[str, Service]
) -> None:
    """Create a namespace on a real server with the same command-line tool."""
    (tmp_path / "tools").mkdir()
    tool = tmp_path / "tools" / "temporal"
    tool.symlink_to(await asyncio.to_thread(programs.temporal, stop=StopFlag(), log=silent))
    given = compose["temporal-init"]["environment"]
    # A name of its own: the server may be one that is not ours.
    env = {**given, "TEMPORAL_ADDRESS": servers.temporal.address, "TEMPORAL_NAMESPACE": f"deploy-{uuid4()}"}
    env |= {"HOME": str(tmp_path), "PATH": f"{tool.parent}:{os.environ['PATH']}"}
    client = await Client.connect(servers.temporal.address)

    async def run(retention: str) -> timedelta:
        script = ROOT / "deploy" / "temporal" / "namespace.sh"
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            script,
            env=env | {"RETENTION": retention},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaint = await asyncio.wait_for(process.communicate(), timeout=scaled(45))
        assert process.returncode == 0, complaint.decode()
        asked = DescribeNamespaceRequest(namespace=env["TEMPORAL_NAMESPACE"])
        found = await client.workflow_service.describe_namespace(asked)
        return found.config.workflow_execution_retention_ttl.ToTimedelta()

    assert await run("72h") == timedelta(days=3)
    assert await run(given["RETENTION"]) == timedelta(days=30)
    assert await run(given["RETENTION"]) == timedelta(days=30)


def test_the_namespace_step_says_what_it_waits_for_and_why_it_gave_up(
    tmp_path: Path, compose: dict[str, Service]
) -> None:
    tool = tmp_path / "temporal"
    tool.write_text("#!/bin/sh\necho 'connection refused by nobody' >&2\nexit 1\n")
    tool.chmod(0o755)
    given = compose["temporal-init"]["environment"]
    env = {**given, "PATH": f"{tmp_path}:/usr/bin:/bin", "MAX_WAIT_SECONDS": "1"}

    gave_up = subprocess.run(  # noqa: S603
        ["/bin/sh", ROOT / "deploy" / "temporal" / "namespace.sh"],
        env=env,
        capture_output=True,
        text=True,
        timeout=scaled(30),
    )

    assert gave_up.returncode != 0
    assert "waiting up to 1 s for Temporal at temporal:7233" in gave_up.stdout
    assert (
        "waiting for Temporal at temporal:7233; its last answer: connection refused by nobody"
        in gave_up.stderr
    )


def test_make_env_fills_every_secret_with_another_one(dot_env: dict[str, str]) -> None:
    example = read_env(ROOT / ".env.example")
    secrets = [dot_env[name] for name, value in example.items() if not value]

    assert len(secrets) == len(set(secrets)) == 8
    assert all(re.fullmatch(r"[0-9a-f]{64}", secret) for secret in secrets)
    assert {name: value for name, value in dot_env.items() if example[name]} == {
        name: value for name, value in example.items() if value
    }


def test_make_env_writes_a_file_that_only_its_owner_reads(folder: Path, dot_env: dict[str, str]) -> None:
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_make_env_leaves_an_existing_file_alone(folder: Path, dot_env: dict[str, str]) -> None:
    before = (folder / ".env").read_bytes()

    again = subprocess.run(  # noqa: S603
        [folder / "deploy" / "make-env"], capture_output=True, text=True, timeout=scaled(10)
    )

    assert again.returncode == 1
    assert "nothing was changed" in again.stderr
    assert (folder / ".env").read_bytes() == before
