"""Every object store keeps the port's promises: MinIO, a second S3 server, and the fake of other tests."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from devstack.install.programs import S3Kind
from domain.errors import StorageUnavailable
from domain.input_files import ImageFacts
from tests.contracts.object_stores import MemorySubject, S3Subject, Subject, running
from tests.support.eventually import eventually
from tests.support.memory_store import Served

MINUTE = timedelta(minutes=1)
# S3 dates signatures by whole seconds, so one of these may be gone at once.
SHORT = timedelta(seconds=2)
BODY = bytes(range(256)) * 64
OTHER_BODY = b"another picture"
# Where there is no Go to build the second server, rclone stands in for it, and it refuses with 400.
REFUSED = (400, 403)


@pytest.fixture(scope="module")
def memory() -> MemorySubject:
    return MemorySubject()


@pytest.fixture(scope="module")
def minio() -> Iterator[S3Subject]:
    with running(S3Kind.MINIO) as subject:
        yield subject


@pytest.fixture(scope="module")
def versitygw() -> Iterator[S3Subject]:
    with running(S3Kind.VERSITYGW) as subject:
        yield subject


@pytest.fixture(scope="module", params=["memory", "minio", "versitygw"])
def subject(request: pytest.FixtureRequest) -> Subject:
    found: Subject = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module", params=["minio", "versitygw"])
def s3(request: pytest.FixtureRequest) -> S3Subject:
    found: S3Subject = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def tenant() -> str:
    """Return a prefix of the bucket that no other test uses."""
    return f"ten_{uuid4().hex}"


@pytest.fixture
def image(tmp_path: Path) -> Callable[..., tuple[Path, ImageFacts]]:
    """Return a file with its facts. The stores do not decode it, so any bytes will do."""

    def image(body: bytes = BODY, content_type: str = "image/png") -> tuple[Path, ImageFacts]:
        path = tmp_path / hashlib.sha256(body).hexdigest()
        path.write_bytes(body)
        return path, ImageFacts(64, 48, content_type, len(body), path.name)

    return image


Image = Callable[..., tuple[Path, ImageFacts]]


def keys_of(subject: Subject, tenant: str) -> set[str]:
    return {key.removeprefix(f"{tenant}/") for key in subject.stored_keys() if key.startswith(f"{tenant}/")}


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "image/webp"])
async def test_what_was_put_is_served_as_it_was(
    subject: Subject, tenant: str, image: Image, content_type: str
) -> None:
    await subject.store.put_object(f"{tenant}/gen_1/0", *image(BODY, content_type))
    url = await subject.store.signed_url(f"{tenant}/gen_1/0", method="GET", lifetime=MINUTE)

    assert subject.served("GET", url) == Served(200, content_type, len(BODY), BODY)


async def test_what_was_put_is_fetched_as_it_was(subject: Subject, tenant: str, image: Image) -> None:
    key = f"{tenant}/files/file_1"
    await subject.store.put_object(key, *image())
    async with subject.store.open_object(key) as path:
        fetched = path.read_bytes()

    assert fetched == BODY
    assert not path.exists()


async def test_nothing_cannot_be_fetched(subject: Subject, tenant: str) -> None:
    with pytest.raises(StorageUnavailable):
        async with subject.store.open_object(f"{tenant}/files/file_1"):
            pass


async def test_putting_twice_leaves_one_object_and_the_last_word(
    subject: Subject, tenant: str, image: Image
) -> None:
    for body in (BODY, BODY, OTHER_BODY):
        await subject.store.put_object(f"{tenant}/gen_1/0", *image(body))
    url = await subject.store.signed_url(f"{tenant}/gen_1/0", method="GET", lifetime=MINUTE)

    assert keys_of(subject, tenant) == {"gen_1/0"}
    assert subject.served("GET", url).content == OTHER_BODY


async def test_many_can_be_put_at_once(subject: Subject, tenant: str, image: Image) -> None:
    path, facts = image()
    await asyncio.gather(*(subject.store.put_object(f"{tenant}/gen_{n}/0", path, facts) for n in range(12)))

    assert keys_of(subject, tenant) == {f"gen_{n}/0" for n in range(12)}


async def test_a_file_shorter_than_its_facts_is_not_stored(
    subject: Subject, tenant: str, image: Image
) -> None:
    path, _ = image(OTHER_BODY)
    _, facts = image(BODY)
    with pytest.raises(StorageUnavailable):
        await subject.store.put_object(f"{tenant}/gen_1/0", path, facts)

    assert keys_of(subject, tenant) == set()


async def test_a_signed_head_says_what_is_there(subject: Subject, tenant: str, image: Image) -> None:
    await subject.store.put_object(f"{tenant}/gen_1/0", *image(BODY, "image/webp"))
    url = await subject.store.signed_url(f"{tenant}/gen_1/0", method="HEAD", lifetime=MINUTE)

    assert subject.served("HEAD", url) == Served(200, "image/webp", len(BODY))


async def test_an_address_for_nothing_is_404(subject: Subject, tenant: str) -> None:
    url = await subject.store.signed_url(f"{tenant}/gen_1/0", method="GET", lifetime=MINUTE)

    assert subject.served("GET", url).status == 404


async def test_an_address_dies_after_its_lifetime(subject: Subject, tenant: str, image: Image) -> None:
    await subject.store.put_object(f"{tenant}/gen_1/0", *image())
    url = await subject.store.signed_url(f"{tenant}/gen_1/0", method="GET", lifetime=SHORT)
    first = subject.served("GET", url).status
    await eventually(lambda: subject.served("GET", url).status in REFUSED, timeout_seconds=5)

    assert first == 200


@pytest.mark.parametrize("change", ["key", "method", "lifetime", "signature"])
async def test_a_changed_address_is_refused(subject: Subject, tenant: str, image: Image, change: str) -> None:
    for index in (0, 1):
        await subject.store.put_object(f"{tenant}/gen_1/{index}", *image())
    url = await subject.store.signed_url(f"{tenant}/gen_1/0", method="GET", lifetime=MINUTE)
    changed = {
        "key": url.replace("/gen_1/0", "/gen_1/1"),
        "method": url,
        "lifetime": url.replace("Expires=60", "Expires=600").replace("seconds=60", "seconds=600"),
        "signature": _with_another_signature(url),
    }[change]

    assert changed != url or change == "method"
    assert subject.served("HEAD" if change == "method" else "GET", changed).status in REFUSED


def _with_another_signature(url: str) -> str:
    before, name, signature = url.lower().partition("signature=")
    flipped = "1" if signature[0] != "1" else "2"
    place = len(before) + len(name)
    return url[:place] + flipped + url[place + 1 :]


async def test_delete_takes_exactly_these_objects(subject: Subject, tenant: str, image: Image) -> None:
    path, facts = image()
    for key in ("gen_1/0", "gen_1/1", "gen_1/10", "gen_10/0", "gen_2/0"):
        await subject.store.put_object(f"{tenant}/{key}", path, facts)
    deleted = await subject.store.delete_objects([f"{tenant}/gen_1/{index}" for index in range(4)])

    assert deleted == 2
    assert keys_of(subject, tenant) == {"gen_1/10", "gen_10/0", "gen_2/0"}


async def test_delete_of_nothing_deletes_nothing(subject: Subject, tenant: str, image: Image) -> None:
    await subject.store.put_object(f"{tenant}/gen_1/0", *image())

    assert await subject.store.delete_objects([f"{tenant}/gen_2/0"]) == 0
    assert await subject.store.delete_objects([]) == 0
    assert keys_of(subject, tenant) == {"gen_1/0"}


async def test_a_store_that_is_away_is_unavailable(subject: Subject, tenant: str, image: Image) -> None:
    away = subject.away()
    with pytest.raises(StorageUnavailable):
        await away.put_object(f"{tenant}/gen_1/0", *image())
    with pytest.raises(StorageUnavailable):
        await away.delete_objects([f"{tenant}/gen_1/0"])
    with pytest.raises(StorageUnavailable):
        async with away.open_object(f"{tenant}/gen_1/0"):
            pass

    assert f"{tenant}/gen_1/0" in await away.signed_url(f"{tenant}/gen_1/0", method="GET", lifetime=MINUTE)


async def test_a_bucket_is_made_once(s3: S3Subject, image: Image) -> None:
    store = s3.store_with(bucket=f"bucket-{uuid4().hex}")
    before = await store.bucket_exists()
    for _ in range(2):
        await store.ensure_bucket()

    assert (before, await store.bucket_exists()) == (False, True)


async def test_without_its_bucket_a_store_is_unavailable(s3: S3Subject, image: Image) -> None:
    store = s3.store_with(bucket=f"bucket-{uuid4().hex}")
    with pytest.raises(StorageUnavailable):
        await store.put_object("ten_1/gen_1/0", *image())
    with pytest.raises(StorageUnavailable):
        await store.delete_objects(["ten_1/gen_1/0"])


async def test_a_wrong_secret_puts_nothing_and_signs_nothing(
    s3: S3Subject, tenant: str, image: Image
) -> None:
    await s3.store.put_object(f"{tenant}/gen_1/0", *image())
    stranger = s3.store_with(secret_key="guessed")  # noqa: S106 - of nobody
    with pytest.raises(StorageUnavailable):
        await stranger.put_object(f"{tenant}/gen_2/0", *image())
    with pytest.raises(StorageUnavailable):
        await stranger.delete_objects([f"{tenant}/gen_1/0"])
    url = await stranger.signed_url(f"{tenant}/gen_1/0", method="GET", lifetime=MINUTE)

    assert s3.served("GET", url).status in REFUSED
    assert keys_of(s3, tenant) == {"gen_1/0"}


async def test_without_a_signature_nothing_is_served(s3: S3Subject, tenant: str, image: Image) -> None:
    await s3.store.put_object(f"{tenant}/gen_1/0", *image())
    url = await s3.store.signed_url(f"{tenant}/gen_1/0", method="GET", lifetime=MINUTE)

    assert s3.served("GET", url.partition("?")[0]).status in REFUSED
