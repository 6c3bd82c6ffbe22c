"""The control plane: health, log, jobs."""

import pytest

from tests.simulator.process import ENDPOINT, Client


async def test_health_says_what_it_simulates(client: Client) -> None:
    answer = await client.http.get("/_sim/health")

    assert (answer.status_code, answer.json()["status"], answer.json()["provider"]) == (200, "ok", "fal")


async def test_the_log_has_every_event_of_a_job(client: Client) -> None:
    handle = await client.submitted("a log")
    result = await client.result(handle)
    await client.http.get(result.json()["images"][0]["url"])
    await client.http.put(handle["cancel_url"])
    entries = await client.log(handle["request_id"])

    reported = [(entry["kind"], entry.get("status"), entry["prompt"]) for entry in entries]
    assert reported == [
        ("submit_accepted", None, "a log"),
        ("result_served", 200, "a log"),
        ("file_served", 200, "a log"),
        ("cancel", 400, "a log"),
    ]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)


async def test_the_log_is_read_page_by_page(client: Client) -> None:
    for number in range(3):
        await client.submitted(f"page {number}")
    everything = await client.log()
    last = everything[-1]["id"]
    page = (await client.http.get("/_sim/log", params={"after": last - 2, "limit": 1})).json()["entries"]
    rest = (await client.http.get("/_sim/log", params={"after": last})).json()["entries"]

    assert page == everything[-2:-1]
    assert rest == []


@pytest.mark.parametrize("query", ["after=x", "limit=-1", "after=1e3", "limit=99999999999999999999"])
async def test_a_page_that_cannot_be_is_422(client: Client, query: str) -> None:
    assert (await client.http.get(f"/_sim/log?{query}")).status_code == 422


async def test_jobs_are_listed_newest_first(client: Client) -> None:
    await client.submitted("older")
    handle = await client.submitted("newer [sim:hang]")
    jobs = (await client.http.get("/_sim/jobs", params={"limit": 2})).json()["jobs"]

    assert [job["prompt"] for job in jobs] == ["newer [sim:hang]", "older"]
    assert (jobs[0]["request_id"], jobs[0]["endpoint"]) == (handle["request_id"], ENDPOINT)
    assert jobs[0]["state"] in ("queued", "running")


async def test_a_request_for_no_application_is_404(client: Client) -> None:
    assert (await client.http.post("/fal-ai", json={"prompt": "x"})).status_code == 404
