"""Lists of generations: each entry is equal to the generation read alone."""

from adapters.database.ledger import PostgresLedger
from domain.errors import ProviderFailed
from domain.generation import Status, TerminalState
from tests.support.books import PostgresBooks

FAILED = TerminalState(Status.FAILED, ProviderFailed.code)


async def test_a_list_shows_no_images_that_are_not_paid_for(books: PostgresBooks) -> None:
    ledger = PostgresLedger(books.database)
    tenant_id = await books.tenant(12)
    paid, refunded, stored = [await books.add(tenant_id) for _ in range(3)]
    for generation_id in (paid, refunded, stored):
        await ledger.reserve(generation_id)
        await books.store(generation_id)
    await ledger.settle(paid)
    await ledger.refund(refunded, FAILED)

    listed = await books.generations.list_generations(tenant_id, status=None, after=None, limit=10)

    assert {each.id: len(each.images) for each in listed} == {paid: 1, refunded: 0, stored: 0}
    assert [await books.read(each.id) for each in listed] == list(listed)
