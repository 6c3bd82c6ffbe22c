"""Examples of what a tenant reads of its money, for the description of the API."""

from collections.abc import Mapping
from typing import Any

_GENERATION_ID = "gen_01a219b34dc62c1c11e4f67917192003"
_LOT_ID = "lot_01a219b2a7f34c5f9d0e7b61c2a84e90"
_THRESHOLDS = [{"threshold_credits": 50, "told_at": None}]
BALANCE: Mapping[str, Any] = {
    "available": 99,
    "held": 0,
    "spent": 1,
    "owed": 0,
    "upcoming": 500,
    "next_expiry": {"credits": 99, "expires_at": "2026-12-31T23:59:59Z"},
    "thresholds": _THRESHOLDS,
}
PARAMETERS: Mapping[str, Any] = {
    "month": "2025-10",
    "from": "2025-10-01",
    "to": "2025-10-31",
    "group_by": "day,model",
    "format": "json",
    "open": True,
}
BODIES: Mapping[str, Mapping[str, Any]] = {"set_thresholds": {"two": {"thresholds": [50, 10]}}}
_ENTRY = {
    "id": 91,
    "transfer_id": f"{_GENERATION_ID}:hold",
    "kind": "hold",
    "account": "available",
    "amount": -1,
    "balance_after": 99,
    "generation_id": _GENERATION_ID,
    "reference": None,
    "lots": [{"lot_id": _LOT_ID, "amount": -1}],
    "created_at": "2026-11-26T20:15:02.457Z",
}
_LOT = {
    "id": _LOT_ID,
    "status": "open",
    "reference": "invoice 2026-114",
    "category": "paid",
    "priority": 50,
    "granted": 100,
    "remaining": 99,
    "held": 0,
    "spent": 1,
    "expired": 0,
    "voided": 0,
    "withdrawn": 0,
    "taken_back": 0,
    "repaid": 0,
    "owed": 0,
    "effective_at": "2026-11-01T00:00:00Z",
    "expires_at": "2026-12-31T23:59:59Z",
    "created_at": "2026-11-01T00:00:00Z",
}
# docs/credits.md has the same month, as CSV.
STATEMENT: Mapping[str, Any] = {
    "month": "2025-10",
    "starts_at": "2025-10-01T00:00:00Z",
    "ends_at": "2025-11-01T00:00:00Z",
    "is_final": True,
    "opening": 120,
    "granted": {"paid": 1000, "promotional": 50},
    "charged": 190,
    "charges": [
        {"model": "flux-dev", "generations": 30, "images": 40, "credits": 160},
        {"model": "flux-schnell", "generations": 12, "images": 30, "credits": 30},
    ],
    "expired": 20,
    "voided": 0,
    "withdrawn": 0,
    "taken_back": {"credits": 400, "owed": 25},
    "closing": {"credits": 560, "available": 565, "held": 20, "owed": 25},
    "adds_up": True,
}
VIEWS: Mapping[str, Any] = {
    "BalanceView": BALANCE,
    "EntryPage": {"data": [_ENTRY], "next_cursor": None},
    "LotPage": {"data": [_LOT], "next_cursor": None},
    "ThresholdList": {"data": _THRESHOLDS},
    "StatementPage": {
        "data": [{"month": "2025-11", "is_final": False}, {"month": "2025-10", "is_final": True}],
        "next_cursor": None,
    },
    "StatementView": STATEMENT,
    "UsagePage": {
        "from": "2025-10-01",
        "to": "2025-10-31",
        "group_by": ["model"],
        "data": [
            {
                "day": None,
                "model": "flux-dev",
                "key_id": None,
                "generations": 30,
                "images": 40,
                "charged_credits": 160,
            }
        ],
        "next_cursor": None,
    },
}
