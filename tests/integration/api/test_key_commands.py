"""The commands of operators for API keys, on a running service."""

from tests.integration.api.service import Service
from tests.integration.api.test_admin_commands import printed


async def test_keys_get_scopes_and_budgets_by_commands(service: Service) -> None:
    tenant_id = str((await printed(service, "create-tenant", "Acme"))[1]["tenant_id"])
    plain = (await printed(service, "create-key", tenant_id))[1]["key_id"]
    options = ("--scopes", "read,keys:write", "--monthly-budget", "50", "--max-held", "5")
    key = (await printed(service, "create-key", tenant_id, *options))[1]["key_id"]

    changed = await printed(
        service, "set-budget", key, "--monthly", "none", "--held", "7", "--reason", "asked"
    )
    assert changed == (0, {"monthly_budget_credits": None, "max_held_credits": 7})
    lines = {line["key_id"]: line for line in (await printed(service, "list-keys", tenant_id))[1]["keys"]}
    assert lines[plain]["scopes"] == [
        *("generations:read", "generations:write", "credits:read", "webhooks:manage"),
    ]
    assert lines[key]["scopes"] == ["generations:read", "credits:read", "keys:write"]
    assert (lines[key]["monthly_budget_credits"], lines[key]["max_held_credits"]) == (None, 7)
    assert (lines[key]["month_charged_credits"], lines[key]["held_credits"]) == (0, 0)

    for wrong in (("--monthly", "-1"), ("--held", "many"), ("--monthly", str(10**16)), ()):
        code, _ = await printed(service, "set-budget", key, *wrong, "--reason", "asked")
        assert code in (1, 2), wrong
    assert (await printed(service, "set-budget", key, "--held", "1"))[0] == 2, "without a reason"
    assert (await printed(service, "set-budget", "0" * 16, "--held", "1", "--reason", "asked"))[0] == 1
    assert (await printed(service, "create-key", tenant_id, "--scopes", "grants:write"))[0] == 1
    events = (await printed(service, "audit", "--tenant", tenant_id))[1]["events"]
    assert [event["action"] for event in events] == [
        *("set_budget", "create_key", "create_key", "create_tenant"),
    ]
    assert events[0]["reason"] == "asked"
