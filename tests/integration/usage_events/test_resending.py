"""An operator has charges sent again, and gives up what is not sent."""

from datetime import timedelta

import pytest

from adapters.database.usage_resending import resend_usage_events, stop_usage_events
from domain.audit import Actor
from domain.errors import InvalidInput
from tests.integration.usage_events.conftest import Site
from tests.support.admin_command import admin

_OPERATOR = Actor("ada", "the receiver lost a day")


async def _sent(site: Site, count: int = 3) -> tuple[str, list[str]]:
    tenant_id = await site.books.tenant(100)
    charged = [await site.charge(tenant_id) for _ in range(count)]
    await site.send_all()
    site.receiver.received.clear()
    return tenant_id, charged


async def test_charges_of_a_tenant_are_sent_again_from_one_on(site: Site) -> None:
    tenant_id, charged = await _sent(site)
    await _sent(site)
    added = await resend_usage_events(site.books.database, charged[1], tenant_id, by=_OPERATOR)
    again = await resend_usage_events(site.books.database, charged[1], tenant_id, by=_OPERATOR)
    assert (added, again) == (2, 0)  # those that still wait stay where they are
    await site.send_all()
    assert site.ids() == charged[1:]
    audited = await site.books.sql(
        "SELECT actor, action, reason FROM audit_events WHERE tenant_id = :tenant ORDER BY id DESC LIMIT 1",
        tenant=tenant_id,
    )
    assert audited == [("ada", "resend_usage_events", "the receiver lost a day")]


async def test_charges_of_all_are_sent_again_from_a_moment_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.database.usage_resending._AT_ONCE", 2)
    _, early = await _sent(site)
    [first] = await site.books.sql("SELECT created_at FROM transfers WHERE id = :id", id=early[-1])
    _, late = await _sent(site)
    since = (first.created_at + timedelta(microseconds=1)).isoformat()
    assert await resend_usage_events(site.books.database, since, None, by=_OPERATOR) == 3
    await site.send_all()
    assert site.ids() == late


async def test_what_is_neither_a_moment_nor_an_event_is_refused(site: Site) -> None:
    with pytest.raises(InvalidInput):
        await resend_usage_events(site.books.database, "yesterday", None, by=_OPERATOR)
    assert await site.unsent() == []


async def test_charges_from_before_the_start_can_be_sent(site: Site) -> None:
    await site.books.sql("UPDATE event_cursors SET transaction_id = -1 WHERE name = 'usage'")
    tenant_id = await site.books.tenant(100)
    charged = [await site.charge(tenant_id)]
    await site.outbox.start()
    assert await resend_usage_events(site.books.database, "2020-01-01", tenant_id, by=_OPERATOR) == 1
    await site.send_all()
    assert site.ids() == charged


async def test_what_is_not_sent_can_be_given_up(site: Site) -> None:
    tenant_id = await site.books.tenant(100)
    await site.charge(tenant_id)
    await site.outbox.collect(1000)
    await site.charge(tenant_id)
    assert await stop_usage_events(site.books.database, by=_OPERATOR) == 1
    assert await site.unsent() == []
    assert not (await site.outbox.look("any")).is_collecting_due


async def test_the_command_says_what_waits(site: Site) -> None:
    tenant_id, charged = await _sent(site, 2)
    url, again = site.database_url, ("usage-events", "--from", charged[0], "--tenant", tenant_id)
    code, done = await admin(url, *again)
    assert (code, done["added"], done["unsent"], done["failures"]) == (0, 2, 2, 0)
    assert (await admin(url, "usage-events"))[1]["unsent"] == 2
    assert (await admin(url, "usage-events", "--from", charged[0], "--tenant", "ten_none"))[0] == 1
    assert (await admin(url, "usage-events", "--tenant", tenant_id))[0] == 1
    assert (await admin(url, "usage-events", "--stop"))[1] == {
        "discarded": 2,
        "unsent": 0,
        "oldest_seconds": 0.0,
        "failures": 0,
    }
