"""The command that compares the books."""

from adapters.database.roles import SERVING_ROLE
from tests.integration.books.conftest import Site
from tests.integration.books.test_checking_books import BROKEN
from tests.integration.conftest import url_of
from tests.support.admin_command import admin


async def test_the_command_says_what_disagrees_and_fails(site: Site, books_url: str) -> None:
    url, of_tenant = url_of(SERVING_ROLE, books_url), ("check-books", "--tenant", site.tenant_id)
    assert await admin(url, *of_tenant) == (0, {"tenants": 1, "disagreements": 0, "first": []})
    await site.break_by(*BROKEN["what was used"][1])
    wrong = {
        "check": "usage_days",
        "tenant_id": site.tenant_id,
        "subject": f"{site.tenant_id}:spent",
        "expected": 4,
        "found": 5,
    }
    assert await admin(url, *of_tenant) == (1, {"tenants": 1, "disagreements": 1, "first": [wrong]})
    code, of_all = await admin(url, "check-books")
    assert code == 1
    assert wrong in of_all["first"]
    code, error = await admin(url, "check-books", "--tenant", "ten_none")
    assert (code, "tenant" in error.lower()) == (1, True)
