"""An S3 server as a child process: MinIO, versitygw or rclone."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import MinioException

from devstack.install.programs import S3Kind, S3Program
from devstack.process.data_directory import DataDir
from devstack.process.supervisor import Command, Supervisor

NAME = "s3"
REGION = "us-east-1"
READY_TIMEOUT_SECONDS = 60.0
REQUEST_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class ObjectStore:
    """A running S3 server."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = REGION


@dataclass(frozen=True)
class _Options:
    """The options of every S3 server."""

    binary: str
    folder: Path
    port: int
    console_port: int
    access_key: str
    secret_key: str

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def start(supervisor: Supervisor, data: DataDir, program: S3Program, *, name: str = NAME) -> ObjectStore:
    """Start it and wait until it lists buckets. `name`: to tell apart two in one folder."""
    folder = data.path / f"{name}-{program.kind}"
    folder.mkdir(mode=0o700, exist_ok=True)
    options = _Options(
        str(program.path),
        folder,
        data.port(name),
        data.port(f"{name}_console"),
        data.secret(f"{name}_access_key")[:20],
        data.secret(f"{name}_secret_key"),
    )
    argv, env = _COMMANDS[program.kind](options)
    supervisor.start(Command(name=name, argv=argv, env=_environment() | env, cwd=folder))
    store = ObjectStore(f"http://{options.address}", options.access_key, options.secret_key)
    supervisor.wait_ready(name, lambda: _lists_buckets(store), timeout_seconds=READY_TIMEOUT_SECONDS)
    return store


def _minio(options: _Options) -> tuple[tuple[str, ...], dict[str, str]]:
    console = f"127.0.0.1:{options.console_port}"
    return (
        (
            options.binary,
            "server",
            "--address",
            options.address,
            "--console-address",
            console,
            str(options.folder),
        ),
        {
            "MINIO_ROOT_USER": options.access_key,
            "MINIO_ROOT_PASSWORD": options.secret_key,
            "MINIO_UPDATE": "off",
            "MINIO_BROWSER": "off",
        },
    )


def _versitygw(options: _Options) -> tuple[tuple[str, ...], dict[str, str]]:
    buckets, metadata = options.folder / "buckets", options.folder / "metadata"
    for folder in (buckets, metadata):
        folder.mkdir(exist_ok=True)
    return (
        # Metadata in a folder of its own: not every temporary folder has extended attributes.
        (
            options.binary,
            "--port",
            options.address,
            "--quiet",
            "posix",
            "--sidecar",
            str(metadata),
            str(buckets),
        ),
        {"ROOT_ACCESS_KEY": options.access_key, "ROOT_SECRET_KEY": options.secret_key, "VGW_REGION": REGION},
    )


def _rclone(options: _Options) -> tuple[tuple[str, ...], dict[str, str]]:
    return (
        (options.binary, "serve", "s3", "--addr", options.address, str(options.folder)),
        # By environment: a command line is shown to every user of the machine.
        {"RCLONE_AUTH_KEY": f'"{options.access_key},{options.secret_key}"', "RCLONE_CONFIG": os.devnull},
    )


_COMMANDS: dict[S3Kind, Callable[[_Options], tuple[tuple[str, ...], dict[str, str]]]] = {
    S3Kind.MINIO: _minio,
    S3Kind.VERSITYGW: _versitygw,
    S3Kind.RCLONE: _rclone,
}


def _lists_buckets(store: ObjectStore) -> bool:
    """Send a signed request, which also shows that the server has our keys."""
    pool = urllib3.PoolManager(timeout=REQUEST_TIMEOUT_SECONDS, retries=False)
    client = Minio(
        store.endpoint.removeprefix("http://"),
        access_key=store.access_key,
        secret_key=store.secret_key,
        secure=False,
        region=store.region,
        http_client=pool,
    )
    try:
        client.list_buckets()
    except (MinioException, urllib3.exceptions.HTTPError):
        return False
    finally:
        pool.clear()
    return True


def _environment() -> dict[str, str]:
    """Return our environment without MinIO and rclone settings, which are for other servers."""
    foreign = ("MINIO_", "RCLONE_", "VGW_", "ROOT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
