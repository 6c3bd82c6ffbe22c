"""The commands that read a tenant's books print what the tenant itself reads."""

import pytest

from tests.integration.api.service import MODEL, Service, Tenant, unique
from tests.integration.api.test_admin_commands import printed, printed_text
from tests.integration.api.test_statements import this_month
from tests.support.requests import new_id


async def test_a_statement_and_the_usage_are_printed(service: Service, tenant: Tenant) -> None:
    await tenant.ended((await tenant.posted(unique("a coin"), n=3))["id"])
    month = this_month()
    view = await tenant.get(f"/v1/credits/statements/{month}")
    shown = await tenant.http.get(f"/v1/credits/statements/{month}?format=csv")

    code, statement = await printed(service, "statement", tenant.id, month)
    assert code == 0
    assert {name: statement[name] for name in ("month", "opening", "closing", "charged", "adds_up")} == {
        "month": month,
        "opening": 0,
        "closing": view["closing"]["credits"],
        "charged": 3,
        "adds_up": True,
    }
    assert (statement["granted_paid"], statement["parts"]) == (100, {"available": 97, "held": 0, "owed": 0})
    assert await printed_text(service, "statement", tenant.id, month, "--csv") == (
        0,
        shown.text,
    )
    code, usage = await printed(service, "usage", tenant.id, "--group-by", "model,key")
    assert (code, usage["is_complete"]) == (0, True)
    assert usage["usage"] == [
        {
            "day": None,
            "model": MODEL,
            "key_id": tenant.key_id,
            "generations": 1,
            "images": 3,
            "charged_credits": 3,
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("statement", "TENANT", "2025-13"), "YYYY-MM"),
        (("statement", "TENANT", "2999-01"), "begun"),
        (("usage", "TENANT", "--from", "2025-02-30"), "--from"),
        (("usage", "TENANT", "--from", "2020-01-01"), "366"),
        (("usage", "TENANT", "--group-by", "week"), "week"),
        (("statement", new_id("ten"), "2025-10"), "tenant"),
    ],
)
async def test_what_cannot_be_printed_is_one_sentence(
    service: Service, tenant: Tenant, arguments: tuple[str, ...], word: str
) -> None:
    named = [tenant.id if each == "TENANT" else each for each in arguments]
    code, text = await printed_text(service, *named)
    assert (code, "Traceback" in text, word in text) == (1, False, True), text
