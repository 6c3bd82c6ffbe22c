"""The servers: reached with their own secrets, PostgreSQL never as root."""

import os
import urllib.request
from pathlib import Path

import asyncpg
import psutil
import pytest
from minio import Minio
from minio.error import MinioException

from devstack.install import programs
from devstack.install.programs import S3Kind, S3Program
from devstack.process.data_directory import DataDir
from devstack.process.log import silent
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Supervisor
from devstack.process.unix_user import unprivileged_user
from devstack.servers import object_store, postgres, temporal
from tests.support.time_limits import scaled


def find(kind: S3Kind) -> S3Program:
    if kind is S3Kind.RCLONE:
        return programs.rclone()
    finder = programs.minio if kind is S3Kind.MINIO else programs.versitygw
    return finder(stop=StopFlag(), log=silent)


async def test_postgres_takes_its_password_and_no_other(supervisor: Supervisor, folder: Path) -> None:
    data = DataDir(folder)
    url = postgres.start(supervisor, data, log=silent, is_durable=False).url
    connection = await asyncpg.connect(url)
    shown = [await connection.fetchval(f"show {name}") for name in ("server_encoding", "synchronous_commit")]
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url.replace(data.secret("postgres_password"), "guessed"))

    account = unprivileged_user()
    assert shown == ["UTF8", "on"]
    assert psutil.Process(supervisor.pids["postgres"]).uids().real == (
        account.uid if account else os.getuid()
    )


async def test_postgres_finds_its_data_again(folder: Path) -> None:
    data = DataDir(folder)
    for statement in ("create table kept (id int)", "insert into kept values (1)"):
        with Supervisor(folder, stop=StopFlag()) as supervisor:
            connection = await asyncpg.connect(postgres.start(supervisor, data, log=silent).url)
            await connection.execute(statement)
            await connection.close()


def test_temporal_serves_its_ui_next_to_a_file_named_by_its_version(
    supervisor: Supervisor, folder: Path
) -> None:
    binary = programs.temporal(stop=StopFlag(), log=silent)
    running = temporal.start(supervisor, DataDir(folder), binary)
    assert running.ui_url is not None
    with urllib.request.urlopen(running.ui_url, timeout=scaled(5)) as page:  # noqa: S310 - our own child
        ui = page.read()

    assert b"<html" in ui
    assert (folder / f"temporal-{temporal.server_version(binary, StopFlag())}.db").exists()


@pytest.mark.parametrize("kind", S3Kind)
def test_each_s3_server_takes_its_keys_and_no_others(
    supervisor: Supervisor, folder: Path, kind: S3Kind
) -> None:
    store = object_store.start(supervisor, DataDir(folder), find(kind))
    host = store.endpoint.removeprefix("http://")
    client = Minio(host, store.access_key, store.secret_key, secure=False, region=store.region)
    client.make_bucket("darkroom")
    stranger = Minio(host, store.access_key, "guessed", secure=False, region=store.region)
    # Not always an S3Error: rclone words its errors in a content type that the client does not read.
    with pytest.raises(MinioException, match="SignatureDoesNotMatch"):
        stranger.list_buckets()

    assert [bucket.name for bucket in client.list_buckets()] == ["darkroom"]
