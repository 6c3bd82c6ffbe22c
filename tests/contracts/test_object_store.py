"""Every object store keeps the port's promises: MinIO, a second S3 server, and the fake of the other tests."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from devstack.install import S3Kind
from domain.errors import StorageUnavailable
from domain.ports import ImageFacts, ObjectStore
from tests.contracts.object_stores import BUCKET, MemorySubject, S3Subject, Subject, running
from tests.support.eventually import eventually
from tests.support.memory_store import Served

REFUSED = (400, 403)  # rclone, where it stands in for the second server, answers 400
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
BODY = bytes(range(256)) * 64


@pytest.fixture(scope="module", params=[S3Kind.MINIO, S3Kind.VERSITYGW])
async def s3(request: pytest.FixtureRequest) -> AsyncIterator[S3Subject]:
    with running(request.param) as subject:
        await subject.store.ensure_bucket()
        yield subject


@pytest.fixture(scope="module", params=["memory", S3Kind.MINIO, S3Kind.VERSITYGW])
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "memory":
        yield MemorySubject()
        return
    with running(request.param) as subject:
        await subject.store.ensure_bucket()
        yield subject
