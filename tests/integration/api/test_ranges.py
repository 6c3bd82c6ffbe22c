"""Parts of an image, and what is no part of it."""

import pytest

from tests.integration.api.service import Tenant, unique


@pytest.fixture
async def path(tenant: Tenant) -> str:
    """Return the path of an image that is there."""
    job = await tenant.ended((await tenant.posted(unique("a frieze")))["id"])
    return f"/v1/generations/{job['id']}/images/0"


async def test_a_range_after_the_end_is_refused_with_the_size(tenant: Tenant, path: str) -> None:
    whole = await tenant.http.get(path)

    refused = await tenant.http.get(path, headers={"Range": "bytes=100000000-"})

    assert (refused.status_code, refused.json()["code"]) == (416, "range_not_satisfiable")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["content-range"] == f"bytes */{len(whole.content)}"


@pytest.mark.parametrize("given", ["bytes=5-2", "bytes=", "bytes=a-b", "lines=1-2", "nonsense"])
async def test_a_range_that_cannot_be_understood_is_ignored(tenant: Tenant, path: str, given: str) -> None:
    whole = await tenant.http.get(path)

    answer = await tenant.http.get(path, headers={"Range": given})

    assert (answer.status_code, answer.content) == (200, whole.content)


async def test_parts_are_what_is_in_the_whole(tenant: Tenant, path: str) -> None:
    whole = (await tenant.http.get(path)).content

    one = await tenant.http.get(path, headers={"Range": "bytes=0-9"})
    many = await tenant.http.get(path, headers={"Range": "bytes=0-9,20-29"})

    assert (one.status_code, one.content) == (206, whole[:10])
    assert one.headers["content-range"] == f"bytes 0-9/{len(whole)}"
    assert (many.status_code, whole[20:30] in many.content) == (206, True)
    assert many.headers["content-type"].startswith("multipart/byteranges")
