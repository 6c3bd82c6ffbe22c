"""Examples of API keys in the description of the API."""

from collections.abc import Mapping
from typing import Any

KEY_ID = "89abcdef01234567"
_KEY: Mapping[str, Any] = {
    "id": KEY_ID,
    "name": "The shop's site",
    "scopes": ["generations:read", "generations:write", "credits:read"],
    "limits": {"creates_per_second": 2.0},
    "monthly_budget_credits": 500,
    "max_held_credits": 40,
    "spending": {
        "month": "2026-11-01",
        "charged_credits": 212,
        "held_credits": 8,
        "all_held_credits": 8,
    },
    "created_at": "2026-11-26T20:10:31.207Z",
    "created_by": "0123456789abcdef",
    "last_used_at": "2026-11-26T20:15:02.418Z",
    "expires_at": None,
    "revoked_at": None,
}
_SECRET = {"api_key": f"dk_{KEY_ID}_shown-this-once"}  # not a secret: an example
PARAMETERS: Mapping[str, Any] = {"key_id": KEY_ID}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "create_api_key": {
        "that_reads": {"name": "The shop's reports", "scopes": ["read"]},
        "with_caps": {
            "name": "The shop's site",
            "scopes": ["write"],
            "limits": {"creates_per_second": 2},
            "monthly_budget_credits": 500,
            "max_held_credits": 40,
        },
    },
    "change_api_key": {"its_budget": {"monthly_budget_credits": 300}},
}
VIEWS: Mapping[str, Any] = {
    "ApiKeyView": _KEY,
    "ApiKeyPage": {"data": [_KEY], "next_cursor": None},
    "NewApiKeyView": {**_KEY, **_SECRET},
}
