"""The commands of operators, on a running service."""

import json
import os
import sys
from asyncio import create_subprocess_exec, subprocess, timeout
from pathlib import Path
from typing import Any

import pytest

from adapters.database.provider_status import provider_lines
from admin.look_up import look_up
from admin.open_provider import open_provider
from domain.errors import GenerationNotFound
from tests.integration.api.conftest import USER_ID
from tests.integration.api.service import Service, Tenant, unique
from tests.simulator.process import KEY
from tests.support.eventually import eventually
from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[3]
COMMAND_SECONDS = 60


async def posted(tenant: Tenant, prompt: str) -> str:
    answer = await tenant.http.post("/v1/generations", json={"model": "flux-dev", "prompt": prompt})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def test_a_closed_provider_is_shown_and_opened(service: Service, tenant: Tenant) -> None:
    jobs = [await posted(tenant, unique(f"a queue {number} [sim:submit_429=3600]")) for number in range(3)]

    async def is_closed() -> bool:
        lines = {line.provider: line for line in await provider_lines(service.database)}
        return "fal" in lines and bool(lines["fal"].closed) and lines["fal"].pushed_back == len(jobs)

    await eventually(is_closed)
    waiting = await tenant.get(f"/v1/generations/{jobs[0]}")
    assert (waiting["status"], waiting["stage"], waiting["cost"]["reserved"]) == ("queued", "throttled", 4)
    assert waiting["queue"]["reason"] == "provider_throttled"
    assert 3000 < waiting["queue"]["retry_in_seconds"] <= 3600

    # The provider takes each at its second submit.
    assert await open_provider(service.settings, service.database, "fal") == len(jobs)
    assert [(await tenant.ended(job))["status"] for job in jobs] == ["completed"] * len(jobs)
    closed = [line.closed for line in await provider_lines(service.database) if line.provider == "fal"]
    assert not any(closed)


async def test_a_provider_that_is_not_known_is_not_opened(service: Service) -> None:
    with pytest.raises(ValueError, match="no provider acme"):
        await open_provider(service.settings, service.database, "acme")


async def test_a_look_up_says_what_the_provider_knows(service: Service, tenant: Tenant) -> None:
    job = await posted(tenant, unique("a look"))
    await tenant.ended(job)

    found = await look_up(service.settings, service.database, job)
    assert list(found["attempts"]) == ["1"]
    assert found["attempts"]["1"]["status"] == "succeeded"
    assert found["attempts"]["1"]["job_id"]
    with pytest.raises(GenerationNotFound):
        await look_up(service.settings, service.database, "gen_0")


async def printed(service: Service, *arguments: str, **variables: str) -> tuple[int | None, Any]:
    """Return the exit code of a command, and the JSON or the text that it printed.

    variables: replace those of the environment.
    """
    code, text = await printed_text(service, *arguments, **variables)
    return code, json.loads(text) if code == 0 else text


async def printed_text(service: Service, *arguments: str, **variables: str) -> tuple[int | None, str]:
    settings = service.settings
    process = await create_subprocess_exec(
        *(sys.executable, "-m", "admin", *arguments),
        cwd=ROOT,
        env=os.environ
        | {
            "MASTER_KEY": settings.master_key.get_secret_value(),
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "TEMPORAL_ADDRESS": settings.temporal_address,
            "TEMPORAL_NAMESPACE": settings.temporal_namespace,
            "S3_ACCESS_KEY": settings.s3_access_key.get_secret_value(),
            "S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
            "S3_ENDPOINT": settings.s3_endpoint,
            "FAL_KEY": KEY,
            "FAL_USER_ID": USER_ID,
        }
        | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with timeout(scaled(COMMAND_SECONDS)):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_commands_print_one_line_of_json(service: Service) -> None:
    code, lines = await printed(service, "providers")
    assert (code, list(lines)) == (0, ["providers"])
    assert await printed(service, "open-provider", "fal") == (0, {"granted": 0})


async def test_the_events_of_a_generation_are_printed(service: Service, tenant: Tenant) -> None:
    job = await tenant.ended((await tenant.posted(unique("a timeline")))["id"])
    code, told = await printed(service, "events", job["id"])
    assert (code, told["tenant_id"]) == (0, tenant.id)
    listed = (await tenant.get(f"/v1/generations/{job['id']}/events"))["data"]
    assert [event["type"] for event in told["events"]] == [event["type"] for event in listed]


async def test_accounts_are_managed_by_commands(service: Service) -> None:
    tenant_id = str((await printed(service, "create-tenant", "Acme", "--actor", "ada"))[1]["tenant_id"])
    await printed(service, "grant", tenant_id, "10", "--reference", "first")
    taken = await printed(
        service, "withdraw", tenant_id, "4", "--reference", "first", "--reason", "a mistake"
    )
    assert taken == (0, {"available_credits": 6})
    limits = await printed(service, "set-limits", tenant_id, "max_files=3", "create_burst=default")
    assert limits == (0, {"limits": {"max_files": 3}})
    key = (await printed(service, "create-key", tenant_id, "--name", "ci", "--expires-in-days", "30"))[1]
    [listed] = (await printed(service, "list-keys", tenant_id))[1]["keys"]
    assert (listed["key_id"], listed["name"], listed["is_valid"]) == (key["key_id"], "ci", True)
    assert key["api_key"] not in str(listed)

    assert (await printed(service, "suspend-tenant", tenant_id))[0] == 2, "without a reason"
    assert await printed(service, "suspend-tenant", tenant_id, "--reason", "fraud") == (
        0,
        {"suspended": True},
    )
    [line] = (await printed(service, "list-tenants", "--after", tenant_id[:-1]))[1]["tenants"][:1]
    assert (line["tenant_id"], line["available_credits"]) == (tenant_id, 6)
    assert line["suspended_at"] is not None

    events = (await printed(service, "audit", "--tenant", tenant_id))[1]["events"]
    assert [event["action"] for event in events] == [
        *("suspend_tenant", "create_key", "set_limits", "withdraw_credits", "grant_credits", "create_tenant"),
    ]
    assert (events[0]["reason"], events[-1]["actor"]) == ("fraud", "ada")


async def test_the_settings_that_each_step_prints_lead_to_another_master_key(service: Service) -> None:
    """As under Compose, where they are pasted into .env and come as variables."""
    settings: dict[str, str] = {}
    before = (await printed(service, "list-master-keys"))[1]["signs"]

    for step in ("accept", "sign", "retire"):
        code, done = await printed(service, "rotate-master-key", step, "--reason", "a trial", **settings)
        assert (code, done["set"].keys()) == (0, {"MASTER_KEY", "OTHER_MASTER_KEYS"})
        settings = done["set"]

    after = (await printed(service, "list-master-keys", **settings))[1]
    assert after == {"signs": after["signs"], "accepted": [after["signs"]]}
    assert after["signs"] != before


@pytest.mark.parametrize("arguments", [("open-provider", "acme"), ("look-up", "gen_0"), ("events", "gen_0")])
async def test_what_cannot_be_done_is_one_sentence(service: Service, arguments: tuple[str, ...]) -> None:
    code, text = await printed(service, *arguments)
    assert code not in (0, None)
    assert "Traceback" not in text, text
