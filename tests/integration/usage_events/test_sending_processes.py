"""Workers as processes, with the settings of an operator: one is killed, another goes on."""

import os
import signal
import sys
from asyncio.subprocess import Process, create_subprocess_exec
from pathlib import Path

from tests.integration.usage_events.conftest import PATH, TOKEN, Site
from tests.support.eventually import eventually
from tests.support.webhook_receiver import OK, hanging

_ROOT = Path(__file__).parents[3]
_SOURCE = "https://this-installation.example.com"


async def _start(site: Site) -> Process:
    variables = {
        "MASTER_KEY": "a master key that only these tests use",
        "DATABASE_URL": site.database_url,
        "S3_ACCESS_KEY": "nobody",
        "S3_SECRET_KEY": "nothing",
        "BILLING_EVENTS_URL": f"{site.receiver.origin}{PATH}",
        "BILLING_EVENTS_TOKEN": f"Bearer {TOKEN}",
        "BILLING_EVENTS_SOURCE": _SOURCE,
    }
    return await create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.sending_process"), cwd=_ROOT, env=os.environ | variables
    )


async def test_another_process_goes_on_where_one_was_killed(site: Site) -> None:
    tenant_id = await site.books.tenant(100)
    charged = [await site.charge(tenant_id) for _ in range(3)]
    site.answer(hanging, OK)
    first = await _start(site)
    [begun] = await site.receiver.got(PATH)
    first.send_signal(signal.SIGKILL)
    await first.wait()
    assert await site.unsent() == charged

    second = await _start(site)
    # As if the lease of the first were over.
    await site.books.sql("UPDATE usage_senders SET leased_until = now() - interval '1 second'")

    async def are_all_taken() -> bool:
        return not await site.unsent()

    await eventually(are_all_taken)
    later = await site.charge(tenant_id)
    await site.receiver.got(PATH, 3)
    second.send_signal(signal.SIGTERM)
    assert await second.wait() == 0
    assert site.ids() == [*charged, *charged, later]
    assert begun.events == site.receiver.at(PATH)[1].events
    assert {event["source"] for event in begun.events} == {_SOURCE}
    assert begun.headers["authorization"] == f"Bearer {TOKEN}"
    [row] = await site.books.sql("SELECT holder FROM usage_senders")
    assert row.holder is None
