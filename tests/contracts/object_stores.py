"""The object stores that pass one suite, each with its own way to see what is stored."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Protocol

import httpx

from adapters.storage.s3 import S3Store
from adapters.transport.s3 import S3Client
from devstack.install import programs
from devstack.install.programs import S3Kind
from devstack.process import data_directory
from devstack.process.data_directory import DataDir
from devstack.process.log import silent
from devstack.process.ports import pick_free
from devstack.process.stop_flag import StopFlag
from devstack.process.supervisor import Supervisor
from devstack.servers import object_store
from domain.ports import ObjectStore
from tests.support.memory_store import MemoryStore, Served
from tests.support.minio_clients import minio_client
from tests.support.time_limits import scaled

BUCKET = "darkroom"


class Subject(Protocol):
    """One store under test."""

    @property
    def store(self) -> ObjectStore: ...

    def stored_keys(self) -> set[str]:
        """Return the stored keys, read without the store."""
        ...

    def served(self, method: str, url: str) -> Served:
        """Request an address without a key."""
        ...

    def away(self) -> ObjectStore:
        """Return the same kind of store at an address without a server."""
        ...


class MemorySubject:
    """The fake that the workflow tests run on."""

    def __init__(self) -> None:
        self.store = MemoryStore()

    def stored_keys(self) -> set[str]:
        return set(self.store.objects)

    def served(self, method: str, url: str) -> Served:
        return self.store.serve(method, url)

    def away(self) -> MemoryStore:
        return MemoryStore(is_away=True)


class S3Subject:
    """The real adapter on a running S3 server."""

    def __init__(self, server: object_store.ObjectStore, threads: Executor, kind: S3Kind) -> None:
        self.server = server
        self.threads = threads
        self.kind = kind
        self.minio = minio_client(server.endpoint, server.access_key, server.secret_key, server.region)
        self.store = self.store_with()

    def client_with(self, *, bucket: str = BUCKET, **changed: str) -> S3Client:
        """Return a client of the root account. changed: its endpoint, or its keys."""
        server = self.server
        given = {"endpoint": server.endpoint, "access_key": server.access_key}
        given |= {"secret_key": server.secret_key, "region": server.region}
        return S3Client(**(given | changed), bucket=bucket)

    def store_with(self, *, bucket: str = BUCKET, **changed: str) -> S3Store:
        client = self.client_with(bucket=bucket, **changed)
        return S3Store(client, client, self.threads)

    def stored_keys(self) -> set[str]:
        return {str(item.object_name) for item in self.minio.list_objects(BUCKET, recursive=True)}

    def served(self, method: str, url: str) -> Served:
        with httpx.Client(trust_env=False, timeout=scaled(5)) as http:
            answer = http.request(method, url)
        if answer.status_code != httpx.codes.OK:
            return Served(answer.status_code)
        length = int(answer.headers["content-length"])
        return Served(200, answer.headers["content-type"], length, answer.content)

    def away(self) -> S3Store:
        return self.store_with(endpoint=f"http://127.0.0.1:{pick_free()}")


@contextmanager
def running(kind: S3Kind) -> Iterator[S3Subject]:
    """Start a server of this kind on temporary data, with an empty bucket."""
    with ExitStack() as exits:
        folder = exits.enter_context(data_directory.temporary_folder())
        data = DataDir(folder)
        exits.enter_context(data.held())
        supervisor = exits.enter_context(Supervisor(folder, stop=StopFlag(), log=silent))
        find = programs.minio if kind is S3Kind.MINIO else programs.versitygw
        program = find(stop=supervisor.stop_flag, log=silent)
        server = object_store.start(supervisor, data, program)
        subject = S3Subject(server, exits.enter_context(ThreadPoolExecutor(4)), program.kind)
        subject.minio.make_bucket(BUCKET)
        yield subject
