"""POST /v1/files: what is stored of an upload, and what is refused."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from composition.storage import object_store
from domain.auth import Scope
from tests.integration.api.pictures import (
    LARGEST_INPUT_BYTES,
    PICTURE,
    PRIVATE,
    animated_gif,
    bomb,
    photograph,
    png,
    private_photograph,
)
from tests.integration.api.service import Service, Tenant

FIELD = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--x--\r\n'
REFUSED = {
    "nothing": b"",
    "text": b"hello",
    "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "half a PNG": PICTURE[: len(PICTURE) // 2],
    "a PNG without its end": PICTURE[:-12],
    "an animated GIF": animated_gif(),
    "a decompression bomb": bomb(),
    "a picture over the pixel cap": png(2001, 2000, "1"),
    "a picture with too much behind it": PICTURE + bytes(LARGEST_INPUT_BYTES + 1 - len(PICTURE)),
}


async def upload(tenant: Tenant, content: bytes = PICTURE, name: str = "a.png") -> httpx.Response:
    return await tenant.http.post("/v1/files", files={"file": (name, content, "application/x-anything")})


async def files_of(service: Service, tenant: Tenant) -> int:
    return await service.count("SELECT count(*) FROM input_files WHERE tenant_id = :id", id=tenant.id)


async def test_an_image_is_stored_with_its_facts(service: Service, tenant: Tenant) -> None:
    answer = await upload(tenant, png(64, 48, "RGBA"))
    file = answer.json()

    assert answer.status_code == 201
    facts = (file["width"], file["height"], file["content_type"], file["has_alpha"])
    assert facts == (64, 48, "image/png", True)
    assert file["size_bytes"] == len(png(64, 48, "RGBA"))
    assert await tenant.get(f"/v1/files/{file['id']}") == file
    assert file["id"].startswith("file_")


async def test_a_photograph_is_stored_as_it_is_seen(tenant: Tenant) -> None:
    file = (await upload(tenant, photograph(64, 48))).json()
    assert (file["width"], file["height"], file["content_type"]) == (64, 48, "image/jpeg")
    assert file["size_bytes"] != len(photograph(64, 48))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_what_an_image_says_of_its_maker_is_not_stored(
    service: Service, tenant: Tenant, kind: str
) -> None:
    content = private_photograph(kind)
    file = (await upload(tenant, content)).json()
    async with (
        object_store(service.settings) as store,
        store.open_object(f"{tenant.id}/files/{file['id']}") as path,
    ):
        stored = await asyncio.to_thread(path.read_bytes)

    assert PRIVATE.encode() in content
    assert PRIVATE.encode() not in stored
    assert (hashlib.sha256(stored).hexdigest(), len(stored)) == (file["sha256"], file["size_bytes"])
    assert (file["width"], file["height"], file["content_type"]) == (300, 200, f"image/{kind.lower()}")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0b.png", "", "x" * 1000, 'a";b=".png'])
async def test_the_name_of_a_file_means_nothing(tenant: Tenant, name: str) -> None:
    boundary = uuid4().hex
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = part.encode() + PICTURE + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = await tenant.http.post("/v1/files", content=body, headers=headers)

    assert answer.status_code == 201
    assert name not in answer.text or not name


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_no_image_is_refused_and_not_kept(service: Service, tenant: Tenant, what: str) -> None:
    answer = await upload(tenant, REFUSED[what])

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [error["field"] for error in answer.json()["errors"]] == ["file"]
    assert await files_of(service, tenant) == 0


@pytest.mark.parametrize("announced", [True, False])
async def test_an_upload_over_the_cap_is_cut_off(service: Service, tenant: Tenant, announced: bool) -> None:
    boundary, piece = uuid4().hex, bytes(100_000)
    start = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()

    async def body() -> AsyncIterator[bytes]:
        yield start
        for _ in range(5):
            yield piece

    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    content = start + piece * 5 if announced else body()
    answer = await tenant.http.post("/v1/files", content=content, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert await files_of(service, tenant) == 0


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (PICTURE, "image/png", 415),
        (b"file=abc", "application/x-www-form-urlencoded", 415),
        (b"", "multipart/form-data; boundary=x", 422),
        (FIELD, "multipart/form-data; boundary=x", 422),
        (b"--x\r\n" + PICTURE, "multipart/form-data; boundary=x", 400),
        (PICTURE, "multipart/form-data", 400),
        (FIELD, "multipart/form-data; boundary=x; charset=undefined", 422),
        (FIELD, "multipart/form-data; boundary=x; charset=hex", 422),
    ],
    ids=[
        "bare",
        "form",
        "empty",
        "a field that is no file",
        "broken",
        "without boundary",
        "a charset that only raises",
        "a charset that is none",
    ],
)
async def test_a_body_in_another_form_is_refused(
    service: Service, tenant: Tenant, content: bytes, content_type: str, status: int
) -> None:
    answer = await tenant.http.post("/v1/files", content=content, headers={"Content-Type": content_type})

    code = "unsupported_media_type" if status == 415 else "invalid_input"
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await files_of(service, tenant) == 0


async def test_two_files_at_once_are_refused(service: Service, tenant: Tenant) -> None:
    files = [("file", ("a.png", PICTURE)), ("file", ("b.png", PICTURE))]
    answer = await tenant.http.post("/v1/files", files=files)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert await files_of(service, tenant) == 0


async def test_an_upload_without_a_key_stores_nothing(service: Service) -> None:
    stranger = await service.client(service.url)
    reader = await service.tenant(scopes=(Scope.READ_GENERATIONS,))
    answers = [
        await stranger.post("/v1/files", files={"file": PICTURE}),
        await upload(reader),
    ]

    assert [answer.status_code for answer in answers] == [401, 403]


async def test_a_file_is_not_found_by_others_nor_after_its_time(service: Service, tenant: Tenant) -> None:
    other = await service.tenant()
    file_id = (await upload(tenant)).json()["id"]
    theirs = await other.http.get(f"/v1/files/{file_id}")
    await service.expire_file(file_id)
    late = await tenant.http.get(f"/v1/files/{file_id}")

    assert [(answer.status_code, answer.json()["code"]) for answer in (theirs, late)] == [
        (404, "file_not_found")
    ] * 2


@pytest.mark.parametrize("file_id", ["file_%00", "file_1", "gen_1", "%2e%2e", "file_" + "a" * 65, "FILE_1"])
async def test_an_id_that_is_none_is_not_found(tenant: Tenant, file_id: str) -> None:
    answer = await tenant.http.get(f"/v1/files/{file_id}")

    assert answer.status_code == 404
