"""Examples of what billing systems send and read, in the description of operators' routes."""

from collections.abc import Mapping
from typing import Any

PAYMENT = "pi_3QK9zLA1b2C3d4E5"
TENANT_ID = "ten_01a219b34d2b7f6ca1d1c0ffee15beef"
_REFUND = "re_3QK9zLA1b2C3d4E5"
_AT = "2026-11-26T20:15:02.418Z"
_GRANT: Mapping[str, Any] = {
    "lot_id": "lot_01a219b34e1f7a60c2d84b9512e6f7a8",
    "tenant_id": TENANT_ID,
    "reference": PAYMENT,
    "category": "paid",
    "priority": 50,
    "granted": 1000,
    "remaining": 998,
    "held": 1,
    "spent": 1,
    "expired": 0,
    "voided": 0,
    "withdrawn": 0,
    "taken_back": 0,
    "repaid": 0,
    "owed": 0,
    "effective_at": _AT,
    "expires_at": None,
    "created_at": _AT,
    "expired_at": None,
    "voided_at": None,
    "closed_at": None,
}
_TAKE_BACK = {
    "tenant_id": TENANT_ID,
    "payment_reference": PAYMENT,
    "reference": _REFUND,
    "amount": 200,
    "applied": 200,
    "state": "applied",
}
PARAMETERS: Mapping[str, Any] = {"reference": PAYMENT, "tenant_id": TENANT_ID, "open_only": True}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "create_grant": {
        "paid": {"tenant_id": TENANT_ID, "amount": 1000, "reference": PAYMENT},
        "given": {
            "tenant_id": TENANT_ID,
            "amount": 50,
            "reference": "welcome-2026-ada",
            "category": "promotional",
            "priority": 10,
            "expires_at": "2100-01-01T00:00:00Z",
        },
    },
    "create_take_back": {
        "in_part": {
            "tenant_id": TENANT_ID,
            "payment_reference": PAYMENT,
            "reference": _REFUND,
            "amount": 200,
        },
        "of_all_that_is_left": {
            "tenant_id": TENANT_ID,
            "payment_reference": PAYMENT,
            "reference": "dp_1QK9zLA1b2C3d4E5",
        },
    },
}
VIEWS: Mapping[str, Any] = {
    "GrantView": _GRANT,
    "TakeBackView": _TAKE_BACK,
    "PaymentView": {
        "reference": PAYMENT,
        "tenant_id": TENANT_ID,
        "grant": {**_GRANT, "remaining": 798, "taken_back": 200},
        "take_backs": [_TAKE_BACK],
    },
    "TenantCreditsView": {
        "tenant_id": TENANT_ID,
        "available": 998,
        "held": 1,
        "spent": 1,
        "owed": 0,
        "upcoming": 0,
        "lots": [_GRANT],
        "next_cursor": None,
    },
}
