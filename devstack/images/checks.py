"""What the running set is held to: by Docker's word, by the kernel's, and by trying what must be refused."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from devstack.errors import CheckFailed, InstallFailed
from devstack.images.container_set import PROJECT, configuration
from devstack.images.engine import Engine

REQUEST_TIMEOUT_SECONDS = 10.0
ROOT_ONLY = ("MIGRATION_DATABASE_URL", "S3_ROOT_ACCESS_KEY", "S3_ROOT_SECRET_KEY", "POSTGRES_PASSWORD")

# Run in the API's container, with its settings. Each must be refused.
_FORBIDDEN = """
import asyncio, sys
import asyncpg
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from composition import read_settings

settings = read_settings()
scheme, _, host = settings.s3_endpoint.partition("://")
keys = settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
options = {"secure": scheme == "https", "region": settings.s3_region}
store = Minio(host, *keys, **options)
accounts = MinioAdmin(endpoint=host, credentials=StaticProvider(*keys), **options)

async def refused(statement):
    connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=5)
    try:
        await connection.execute(statement, timeout=5)
    except asyncpg.InsufficientPrivilegeError:
        return True
    finally:
        await connection.close(timeout=5)
    return False

async def main():
    for statement in (
        "ALTER TABLE transfers DISABLE TRIGGER ALL", "UPDATE transfers SET amount_credits = 0",
        "DELETE FROM entries", "TRUNCATE entries", "DROP TABLE tenants", "CREATE TABLE of_ours (id int)",
        "SET ROLE darkroom",
    ):
        print("refused" if await refused(statement) else "ALLOWED", statement)

asyncio.run(main())
for name, call in (
    ("list the buckets", lambda: store.list_buckets()),
    ("list the bucket", lambda: list(store.list_objects(settings.s3_bucket))),
    ("make a bucket", lambda: store.make_bucket("another")),
    ("list the accounts", lambda: accounts.user_list()),
):
    try:
        call()
    except Exception as error:
        print("refused" if "AccessDenied" in str(error) else f"FAILED {error}", name)
    else:
        print("ALLOWED", name)
try:
    open("/app/written", "w")
except OSError:
    print("refused write to the root")
else:
    print("ALLOWED write to the root")
"""

# Run in the application's image as root, to see all of it.
_CONTENTS = """
import os, shutil
unwanted = {"pip", "ensurepip", "tests", "__tests__", ".git", ".env"}
for root in ("/opt", "/app", "/usr", "/root", "/home"):
    for folder, folders, files in os.walk(root):
        for name in unwanted.intersection((*folders, *files)):
            print(f"{folder}/{name}")
for name in ("gcc", "cc", "g++", "make", "git", "curl"):
    if path := shutil.which(name):
        print(path)
"""


def run(engine: Engine, env: Mapping[str, str]) -> None:
    """Run every check and print one line for each. Raises CheckFailed with all that is wrong."""
    wrong = [
        *_report(engine, "every container is confined", _confinement(engine)),
        *_report(engine, "nothing is published but what the file says", _published(engine)),
        *_report(engine, "no service has another one's secrets", _secrets(engine)),
        *_report(engine, "the API may not do what it need not", _refusals(engine)),
        *_report(engine, "the proxy hides what is for operators", _hidden(env)),
        *_report(engine, "a step to another master key prints both settings", _rotation(engine, env)),
        *_report(engine, "the application's image has no tool in it", _contents(engine)),
    ]
    if wrong:
        raise CheckFailed("not as it should be:\n  " + "\n  ".join(wrong))


def _report(engine: Engine, title: str, findings: Iterator[str]) -> list[str]:
    found = list(findings)
    engine.log(f"{title}: {'no, see below' if found else 'yes'}")
    return found


def containers(engine: Engine) -> dict[str, dict[str, Any]]:
    """Return what Docker says of each container, by its service."""
    ids = engine.compose("ps", "--all", "--quiet").split()
    found = json.loads(engine.docker("inspect", *ids))
    return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}


def _confinement(engine: Engine) -> Iterator[str]:
    config = configuration(engine)["services"]
    for name, container in containers(engine).items():
        host = container["HostConfig"]
        facts = {
            "its root can be written": host["ReadonlyRootfs"],
            "it keeps capabilities": host["CapDrop"] == ["ALL"] and not host["CapAdd"],
            "it may gain privileges": "no-new-privileges:true" in host["SecurityOpt"],
            "its memory has no limit": host["Memory"] > 0,
            "its processors have no limit": host["NanoCpus"] > 0,
            "its processes have no limit": (host["PidsLimit"] or 0) > 0,
            "it is in other networks": set(container["NetworkSettings"]["Networks"])
            == {f"{PROJECT}_{network}" for network in config[name]["networks"]},
        }
        yield from (f"{name}: {problem}" for problem, is_right in facts.items() if not is_right)
        if container["State"]["Running"]:
            process = Path(f"/proc/{container['State']['Pid']}")
            yield from (f"{name}: {problem}" for problem in _kernel_problems(process))


def _kernel_problems(process: Path) -> Iterator[str]:
    """Look at the first process of a container, from outside. `process`: its folder in /proc."""
    lines = (process / "status").read_text().splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    [root] = [mount for mount in mounts if mount[4] == "/"]
    facts = {
        "it runs as root": "0" not in status["Uid"],
        "it has effective capabilities": int(status["CapEff"][0], 16) == 0,
        "it could get capabilities": int(status["CapBnd"][0], 16) == 0,
        "it may gain privileges": status["NoNewPrivs"] == ["1"],
        "no system call is refused": status["Seccomp"] == ["2"],
        "the kernel lets it write its root": "ro" in root[5].split(","),
    }
    yield from (problem for problem, is_right in facts.items() if not is_right)


def _published(engine: Engine) -> Iterator[str]:
    config = configuration(engine)["services"]
    for name, container in containers(engine).items():
        wanted = (
            {(port["host_ip"], str(port["published"])) for port in config[name].get("ports", [])}
            if container["State"]["Running"]
            else set()
        )
        bound = container["NetworkSettings"]["Ports"] or {}
        found = {(each["HostIp"], each["HostPort"]) for ports in bound.values() for each in ports or ()}
        if found != wanted:
            yield f"{name}: publishes {sorted(found)}, and not {sorted(wanted)}"


def _secrets(engine: Engine) -> Iterator[str]:
    for name, container in containers(engine).items():
        given = {pair.partition("=")[0] for pair in container["Config"]["Env"]}
        if name in ("api", "worker", "simulator", "proxy"):
            yield from (f"{name}: has {secret}" for secret in ROOT_ONLY if secret in given)


def _refusals(engine: Engine) -> Iterator[str]:
    printed = engine.compose("exec", "--no-TTY", "api", "python", "-c", _FORBIDDEN)
    lines = printed.strip().splitlines()
    if not lines:
        yield "nothing was tried"
    yield from (f"api: {line}" for line in lines if not line.startswith("refused"))


def _hidden(env: Mapping[str, str]) -> Iterator[str]:
    api, store = env["PUBLIC_URL"], env["S3_PUBLIC_ENDPOINT"]
    for url in (
        f"{api}/metrics",
        f"{api}/readyz",
        f"{store}/",
        f"{store}/darkroom/",
        f"{store}/minio/health/live",
        f"{store}/minio/admin/v3/info",
    ):
        status = httpx.get(url, timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False).status_code
        if status not in (403, 404):
            yield f"proxy: {url} answers {status}"
    put = httpx.put(f"{store}/darkroom/x", content=b"", timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False)
    if put.status_code != httpx.codes.FORBIDDEN:
        yield f"proxy: a PUT to the store answers {put.status_code}"


def _rotation(engine: Engine, env: Mapping[str, str]) -> Iterator[str]:
    """Do the first step as docs/master-keys.md has it. Nothing changes, as it only prints the values."""
    command = ("python", "-m", "admin", "rotate-master-key", "accept", "--reason", "a trial")
    values = json.loads(engine.compose("exec", "--no-TTY", "api", *command))["set"]
    if values["MASTER_KEY"] != env["MASTER_KEY"] or not values["OTHER_MASTER_KEYS"]:
        yield "api: the step `accept` prints another MASTER_KEY, or no new one"


def _contents(engine: Engine) -> Iterator[str]:
    image = containers(engine)["api"]["Config"]["Image"]
    layers = engine.docker(
        "history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image
    )
    ours = 0
    for line in layers.splitlines():
        size, _, made_by = line.partition(" ")
        if "apt-get" in made_by or not made_by:
            break
        ours += int(size)
    engine.log(f"{image} has {ours / 1e6:.0f} MB of its own, beside its base")
    try:
        printed = engine.docker(
            "run",
            "--rm",
            "--network=none",
            "--user=0",
            "--entrypoint=/usr/local/bin/python",
            image,
            "-c",
            _CONTENTS,
        )
    except InstallFailed as error:
        yield str(error)
        return
    yield from (f"{image}: has {path}" for path in printed.split())
