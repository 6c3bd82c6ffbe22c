"""The account that bootstrap makes, on a real MinIO: enough for the service, nothing beyond its bucket."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from minio import Minio
from minio.error import MinioAdminException, S3Error
from minio.minioadmin import MinioAdmin

from adapters.storage.minio_root import MinioRoot
from adapters.storage.s3 import S3Store
from adapters.transport.s3 import S3Admin
from composition.storage import limit_account
from devstack.install.programs import S3Kind
from devstack.process.ports import pick_free
from domain.errors import StorageUnavailable
from domain.input_files import ImageFacts
from settings import Settings
from tests.contracts.object_stores import S3Subject, running
from tests.support.minio_clients import minio_admin, minio_client

BUCKET = "of-the-service"
ACCOUNT, SECRET = "service-account", "s" * 32
BODY = b"a picture"


@pytest.fixture(scope="module")
def minio() -> Iterator[S3Subject]:
    with running(S3Kind.MINIO) as subject:
        if subject.kind is not S3Kind.MINIO:
            pytest.skip("there is no MinIO, and no Go to build it")
        yield subject


@pytest.fixture
def settings(minio: S3Subject) -> Settings:
    return settings_of(minio)


def settings_of(minio: S3Subject, **changed: str) -> Settings:
    root = {"s3_root_access_key": minio.server.access_key, "s3_root_secret_key": minio.server.secret_key}
    given = {
        "master_key": "m" * 32,
        "database_url": "postgresql://nobody@127.0.0.1:1/none",
        "s3_endpoint": minio.server.endpoint,
        "s3_access_key": ACCOUNT,
        "s3_secret_key": SECRET,
        "s3_bucket": BUCKET,
    }
    return Settings.model_validate(given | root | changed)


@pytest.fixture
async def client(minio: S3Subject, settings: Settings) -> Minio:
    assert await limit_account(settings)
    return minio_client(minio.server.endpoint, ACCOUNT, SECRET, minio.server.region)


@pytest.fixture
def store(minio: S3Subject, client: Minio) -> S3Store:
    return minio.store_with(bucket=BUCKET, access_key=ACCOUNT, secret_key=SECRET)


@pytest.fixture
def admin(minio: S3Subject, client: Minio) -> MinioAdmin:
    return minio_admin(minio.server.endpoint, ACCOUNT, SECRET, minio.server.region)


@pytest.fixture
def image(tmp_path: Path) -> tuple[Path, ImageFacts]:
    path = tmp_path / "image"
    path.write_bytes(BODY)
    return path, ImageFacts(64, 48, "image/png", len(BODY), "0" * 64)


async def test_the_account_can_do_what_the_service_does(
    minio: S3Subject, store: S3Store, image: tuple[Path, ImageFacts]
) -> None:
    key = f"{uuid4().hex}/0"
    await store.ensure_bucket()
    assert await store.bucket_exists()
    await store.put_object(key, *image)
    async with store.open_object(key) as path:
        assert path.read_bytes() == BODY
    url = await store.signed_url(key, method="GET", lifetime=timedelta(minutes=1))
    assert minio.served("GET", url).content == BODY

    assert await store.delete_objects([key, "nothing"]) == 1
    assert minio.served("GET", url).status in (403, 404)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: list(client.list_objects(BUCKET)),
        lambda client: client.make_bucket("another"),
        lambda client: client.remove_bucket(BUCKET),
        lambda client: client.get_bucket_policy(BUCKET),
        lambda client: client.delete_bucket_policy(BUCKET),
        lambda client: client.stat_object("of-others", "secret"),
        lambda client: client.remove_object("of-others", "secret"),
    ],
)
def test_the_account_may_do_nothing_else(
    minio: S3Subject, client: Minio, call: Callable[[Minio], object]
) -> None:
    if not minio.minio.bucket_exists("of-others"):
        minio.minio.make_bucket("of-others")

    with pytest.raises(S3Error) as refused:
        call(client)
    assert refused.value.code == "AccessDenied"


def test_the_account_sees_no_bucket(client: Minio) -> None:
    """Return an empty list, as MinIO shows to each account what it may see."""
    with pytest.raises(S3Error, match="Access"):
        assert client.list_buckets()


@pytest.mark.parametrize(
    "call",
    [
        lambda admin: admin.user_list(),
        lambda admin: admin.user_add("friend", "f" * 32),
        lambda admin: admin.policy_add("all", policy={"Version": "2012-10-17", "Statement": []}),
        lambda admin: admin.info(),
        lambda admin: admin.service_restart(),
    ],
)
def test_the_account_administrates_nothing(admin: MinioAdmin, call: Callable[[MinioAdmin], object]) -> None:
    with pytest.raises(MinioAdminException, match="AccessDenied"):
        call(admin)


async def test_it_may_be_repeated_and_gives_the_account_its_new_secret(
    minio: S3Subject, store: S3Store
) -> None:
    assert await limit_account(settings_of(minio, s3_secret_key="t" * 32))
    with pytest.raises(StorageUnavailable):
        await store.put_object("key", *_nothing())

    assert await limit_account(settings_of(minio))
    await store.ensure_bucket()


async def test_without_a_root_account_nothing_is_made(minio: S3Subject) -> None:
    settings = settings_of(minio).model_copy(update={"s3_root_secret_key": None, "s3_bucket": "never-made"})

    assert not await limit_account(settings)
    assert not minio.minio.bucket_exists("never-made")


async def test_the_root_account_itself_is_refused_for_the_service(minio: S3Subject) -> None:
    with pytest.raises(ValueError, match="one of its own"):
        await limit_account(settings_of(minio, s3_access_key=minio.server.access_key))


async def test_a_store_that_is_away_or_refuses_says_so(minio: S3Subject) -> None:
    for changed in ({"s3_endpoint": f"http://127.0.0.1:{pick_free()}"}, {"s3_root_secret_key": "wrong" * 8}):
        with pytest.raises(StorageUnavailable):
            await limit_account(settings_of(minio, **changed))


async def test_a_store_that_is_not_minio_has_no_such_account() -> None:
    with running(S3Kind.VERSITYGW) as other, pytest.raises(StorageUnavailable):
        await limit_account(settings_of(other))


async def test_what_it_had_before_is_taken_from_it(minio: S3Subject, client: Minio) -> None:
    server = minio.server
    root = S3Admin(server.endpoint, server.access_key, server.secret_key, server.region)
    root.set_policy("readwrite", ACCOUNT)
    assert client.list_buckets()

    with ThreadPoolExecutor(1) as threads:
        made = MinioRoot(minio.client_with(bucket=BUCKET), root, threads, bucket=BUCKET)
        await made.limit_account(ACCOUNT, SECRET)

    with pytest.raises(S3Error, match="Access"):
        assert client.list_buckets()


def _nothing() -> tuple[Path, ImageFacts]:
    return Path("/dev/null"), ImageFacts(64, 48, "image/png", 0, "0" * 64)
