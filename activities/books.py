"""The check of the books, a stretch of tenants at a time."""

import time
from collections import Counter

from temporalio import activity

from domain.books import BooksProgress
from domain.ports.book_checks import BookChecks

_TENANTS_AT_ONCE = 10
# Of one run of the activity: what comes after it is the next one's, so that little is read twice.
_PART_SECONDS = 30.0


class BookActivities:
    """Compares what accounts, entries, lots and counts say. It repairs nothing: people find out why first."""

    def __init__(self, checks: BookChecks) -> None:
        self._checks = checks

    @activity.defn
    async def check_books(self, progress: BooksProgress) -> BooksProgress:
        """Check tenants after the last one, for a while; return how far that came. The last records it."""
        after, tenants, found = progress.after, progress.tenants, Counter(progress.disagreements)
        end = time.monotonic() + _PART_SECONDS
        while True:
            page = await self._checks.list_tenants(after, _TENANTS_AT_ONCE)
            for each in await self._checks.check_tenants(page) if page else ():
                found[each.check] += 1
                activity.logger.error(
                    "the books disagree: %s of %s, tenant %s: %d, but %d",
                    *(each.check, each.subject, each.tenant_id, each.expected, each.found),
                )
            tenants += len(page)
            if len(page) < _TENANTS_AT_ONCE:
                await self._checks.record_check(tenants, found)
                return BooksProgress(after, tenants, dict(found), is_done=True)
            after = page[-1]
            if time.monotonic() > end:
                return BooksProgress(after, tenants, dict(found))
