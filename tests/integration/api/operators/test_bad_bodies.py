"""What operators' routes refuse: named by field, and nothing comes of it."""

from typing import Any

import pytest

from tests.integration.api.operators.billing import Billing, payment_id
from tests.integration.api.owned import books_of
from tests.integration.api.service import Service, Tenant


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("grants", {"amount": 0}),
        ("grants", {"amount": 10**12 + 1}),
        ("grants", {"amount": 1.5}),
        ("grants", {"amount": "5"}),
        ("grants", {"amount": True}),
        ("grants", {"reference": ""}),
        ("grants", {"reference": "x" * 201}),
        ("grants", {"reference": "a\0b"}),
        ("grants", {"reference": "späti"}),
        ("grants", {"reference": ".."}),
        ("grants", {"reference": "pi_1\n"}),
        ("grants", {"category": "gift"}),
        ("grants", {"priority": 101}),
        ("grants", {"priority": -1}),
        ("grants", {"effective_at": "2080-01-01T00:00:00"}),
        ("grants", {"effective_at": 1_795_724_106}),
        ("grants", {"expires_at": "9999-12-31T23:59:59-12:00"}),
        ("grants", {"expires_at": "0001-01-01T00:00:00+14:00"}),
        ("grants", {"expires_at": "soon"}),
        ("grants", {"tenant_id": "ten\0"}),
        ("grants", {"tenant_id": ""}),
        ("grants", {"currency": "EUR"}),
        ("take-backs", {"amount": 0}),
        ("take-backs", {"amount": -5}),
        ("take-backs", {"reference": "x" * 201}),
        ("take-backs", {"payment_reference": ""}),
        ("take-backs", {"payment_reference": None}),
    ],
    ids=str,
)
async def test_what_is_wrong_is_named_and_leaves_nothing(
    service: Service, tenant: Tenant, billing: Billing, path: str, change: dict[str, Any]
) -> None:
    body: dict[str, Any] = {"tenant_id": tenant.id, "amount": 5, "reference": payment_id()}
    if path == "take-backs":
        body["payment_reference"] = payment_id()
    before = await books_of(service, tenant)

    refused = await billing.http.post(f"/v1/admin/{path}", json=body | change)

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
    assert [each["field"] for each in refused.json()["errors"]] == [*change]
    assert await books_of(service, tenant) == before
