"""Each thing that must agree is broken, and exactly that is reported."""

import pytest

from adapters.database.book_checks import books_state
from domain.audit import SYSTEM
from domain.books import BookCheck
from domain.generation import Status, TerminalState
from domain.lots import Grant
from tests.integration.books.conftest import Site, of_key

_LOT_ENTRY = (
    "UPDATE lot_entries SET {change}"
    " WHERE lot_id IN (SELECT id FROM lots WHERE tenant_id = :tenant) AND transfer_id LIKE 'grant:%'"
)
_ENTRY = "UPDATE entries SET amount_credits = amount_credits {change} WHERE account_id = :tenant || ':{kind}'"
_OF_HELD, _OF_SPENT = " AND transfer_id = :held || ':hold'", " AND transfer_id = :spent || ':hold'"
_LOT = "UPDATE lots SET {change} WHERE tenant_id = :tenant"
BROKEN: dict[str, tuple[set[str], list[str]]] = {
    "a balance": (
        {"balance", "last_entry", "accounts", "available"},
        ["UPDATE accounts SET balance_credits = balance_credits + 1 WHERE id = :tenant || ':available'"],
    ),
    "entries of both accounts": (
        {"balance"},
        [
            _ENTRY.format(change="- 1", kind="available") + _OF_HELD,
            _ENTRY.format(change="+ 1", kind="held") + _OF_HELD,
        ],
    ),
    "a balance after": (
        {"last_entry"},
        [
            "UPDATE entries SET balance_after = balance_after + 1 WHERE id = ("
            "SELECT max(id) FROM entries WHERE account_id = :tenant || ':held')"
        ],
    ),
    "two transfers": (
        {"transfer"},
        [
            _ENTRY.format(change="- 1", kind="available") + _OF_HELD,
            _ENTRY.format(change="+ 1", kind="available") + _OF_SPENT,
        ],
    ),
    "what remains of a lot": (
        {"available"},
        [
            _LOT.format(change="remaining_credits = remaining_credits - 1, voided_credits = 1"),
            _LOT_ENTRY.format(change="remaining_change = remaining_change - 1"),
        ],
    ),
    "what is held of a lot": (
        {"held"},
        [
            _LOT.format(change="held_credits = held_credits - 1, voided_credits = 1"),
            _LOT_ENTRY.format(change="held_change = held_change - 1"),
        ],
    ),
    "what is owed of a lot": ({"owed"}, [_LOT.format(change="owed_credits = 1")]),
    "an entry of a lot": (
        {"lot"},
        [_LOT_ENTRY.format(change="remaining_change = remaining_change + 1")],
    ),
    "where a hold is": (
        {"hold"},
        [
            "UPDATE lot_entries SET held_change = held_change - 1 WHERE transfer_id = :held || ':hold'",
            "UPDATE lot_entries SET held_change = held_change + 1 WHERE transfer_id = :spent || ':hold'",
        ],
    ),
    "an end without a return": (
        {"open_holds", "key_spending"},
        [
            "UPDATE generations SET status = 'failed', stage = 'failed', error_code = 'internal_error',"
            " finished_at = now() WHERE id = :held"
        ],
    ),
    "what a key holds": (
        {"key_spending"},
        ["UPDATE key_spending SET held_credits = held_credits + 1 WHERE api_key_id = :key"],
    ),
    "what was used": (
        {"usage_days"},
        ["UPDATE usage_days SET charged_credits = charged_credits + 1 WHERE tenant_id = :tenant"],
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_what_is_broken_is_reported_and_nothing_else(site: Site, broken: str) -> None:
    expected, statements = BROKEN[broken]
    assert await site.disagreements() == set()
    await site.break_by(*statements)
    assert await site.disagreements() == expected


async def test_a_hold_that_is_resolved_twice_is_reported(site: Site) -> None:
    index = "CREATE UNIQUE INDEX transfers_one_resolution ON transfers (hold_id) WHERE kind <> 'hold'"
    await site.break_by(
        "DROP INDEX transfers_one_resolution",
        "INSERT INTO transfers (id, tenant_id, kind, hold_id, generation_id, amount_credits)"
        " VALUES (:spent || ':refund', :tenant, 'refund', :spent || ':hold', :spent, 0)",
        "INSERT INTO entries (transfer_id, account_id, amount_credits, balance_after)"
        " SELECT :spent || ':refund', id, 0, balance_credits FROM accounts WHERE id = :tenant || ':held'",
    )
    try:
        assert await site.disagreements() == {"resolution"}
    finally:
        await site.break_by(
            "DELETE FROM entries WHERE transfer_id = :spent || ':refund'",
            "DELETE FROM transfers WHERE id = :spent || ':refund'",
            index,
        )


async def test_every_check_is_broken_once() -> None:
    covered = {name for expected, _ in BROKEN.values() for name in expected} | {"resolution"}
    assert covered == {check.value for check in BookCheck}


async def test_books_agree_after_all_that_can_happen_to_credits(site: Site) -> None:
    tenant_id, lots = site.tenant_id, site.lots
    gift = await lots.grant(Grant(tenant_id, 7, "gift", is_payment=True), by=SYSTEM)
    await lots.grant(Grant(tenant_id, 5, "other"), by=SYSTEM)
    for end in (TerminalState(Status.CANCELED), None):
        generation_id = await site.books.add(tenant_id, of_key(site.key_id, 9))
        await site.ledger.reserve(generation_id, tenant_id)
        if end is not None:
            await site.ledger.refund(generation_id, end)
    await lots.take_back(tenant_id, "gift", "refund", None, by=SYSTEM)
    for lot in await lots.list_lots(tenant_id, after=None, limit=10, open_only=True):
        if lot.id != gift.lot.id:
            await lots.void(lot.id, by=SYSTEM)
    await site.ledger.refund(site.held_id, TerminalState(Status.CANCELED))
    assert await site.disagreements() == set()


async def test_an_account_with_many_entries_is_read_in_pages(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.database.book_checks._ENTRIES", 3)
    monkeypatch.setattr("adapters.database.book_checks._ENTRIES_ALONE", 2)
    monkeypatch.setattr("adapters.database.book_sums._LOTS_AT_ONCE", 1)
    for number in range(4):
        await site.lots.grant(Grant(site.tenant_id, 1, f"more-{number}"), by=SYSTEM)
        generation_id = await site.books.add(site.tenant_id, of_key(site.key_id))
        await site.ledger.reserve(generation_id, site.tenant_id)
        await site.ledger.refund(generation_id, TerminalState(Status.CANCELED))
    assert await site.disagreements() == await site.disagreements(whole=False) == set()
    await site.break_by(*BROKEN["two transfers"][1], *BROKEN["an entry of a lot"][1])
    assert await site.disagreements() == {"transfer", "lot"}


async def test_the_daily_check_reads_only_what_is_new(site: Site) -> None:
    assert await site.disagreements(whole=False) == set()
    marks = await site.books.sql(
        "SELECT entry_id, credits FROM book_marks WHERE subject = :id", id=f"{site.tenant_id}:available"
    )
    [last] = await site.books.sql(
        "SELECT max(id) AS id FROM entries WHERE account_id = :id", id=f"{site.tenant_id}:available"
    )
    assert marks == [(last.id, 92)]
    await site.break_by(*BROKEN["entries of both accounts"][1])
    assert await site.disagreements(whole=False) == set()
    assert await site.disagreements() == {"balance"}
    await site.break_by(*BROKEN["a balance"][1])
    assert await site.disagreements(whole=False) >= {"balance"}


async def test_what_disagrees_is_found_again_the_next_day(site: Site) -> None:
    for broken in ("two transfers", "an entry of a lot", "what is owed of a lot"):
        await site.break_by(*BROKEN[broken][1])
    for _ in range(2):
        assert await site.disagreements(whole=False) == {"transfer", "lot", "owed"}


async def test_the_last_check_is_what_operators_see(site: Site) -> None:
    assert (await books_state(site.books.database)).age_seconds > 0
    await site.checks.record_check(3, {"lot": 2})
    state = await books_state(site.books.database)
    assert state.disagreements == {check: 2 if check == "lot" else 0 for check in BookCheck}
    assert state.age_seconds < 60
