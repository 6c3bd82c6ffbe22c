"""A cancel answers from the record: as often as it is asked, and with what became of the job."""

from tests.integration.api.service import PRICE, Tenant, unique


async def test_a_cancel_that_is_too_late_says_what_became_of_the_job(tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("a pier")))["id"])

    refused = await tenant.http.post(job["urls"]["cancel"])

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "too_late_to_cancel")
    assert (problem["generation_id"], problem["stage"], problem["charged"]) == (job["id"], "completed", True)
    assert (problem["retryable"], refused.headers["x-should-retry"]) == (False, "false")
    assert (await tenant.get(refused.headers["location"]))["id"] == job["id"]
    assert (await tenant.credits())[2] == PRICE


async def test_a_job_that_failed_for_free_says_so(tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("a mole [sim:moderation]")))["id"])

    problem = (await tenant.http.post(job["urls"]["cancel"])).json()

    assert (problem["code"], problem["stage"], problem["charged"]) == ("too_late_to_cancel", "failed", False)


async def test_a_cancel_repeats_as_often_as_it_is_asked(tenant: Tenant) -> None:
    job = await tenant.posted(unique("a well [sim:hang]"))

    answers = [await tenant.http.post(job["urls"]["cancel"]) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert {answer.json()["id"] for answer in answers} == {job["id"]}
    assert (await tenant.ended(job["id"]))["status"] == "canceled"
    again = await tenant.http.post(job["urls"]["cancel"])
    assert (again.status_code, again.json()["status"]) == (202, "canceled")
