"""A client that knows a job as it is gets 304 and no body."""

from tests.integration.api.service import Tenant, unique


async def test_a_job_that_has_not_changed_is_not_sent_again(tenant: Tenant) -> None:
    job = await tenant.posted(unique("tagged [sim:hang]"))
    url = f"/v1/generations/{job['id']}"
    await tenant.generating(job["id"])
    first = await tenant.http.get(url)
    tag = first.headers["ETag"]
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        same = await tenant.http.get(url, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
        assert same.headers["Retry-After"] == first.headers["Retry-After"]
    assert (await tenant.http.get(url, headers={"If-None-Match": '"other"'})).status_code == 200
    await tenant.http.post(f"{url}/cancel")
    changed = await tenant.http.get(f"{url}?wait=30", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["status"]) == (200, "canceled")
    assert "Retry-After" not in changed.headers


async def test_links_that_are_signed_anew_do_not_change_the_tag(tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("tagged")))["id"])
    url = f"/v1/generations/{job['id']}"
    tag = (await tenant.http.get(url)).headers["ETag"]
    assert (await tenant.http.get(url, headers={"If-None-Match": tag})).status_code == 304
    await tenant.http.delete(url)
    assert (await tenant.http.get(url, headers={"If-None-Match": tag})).status_code == 200
