"""The daily check of the books, started by a Temporal Schedule."""

from temporalio import workflow

from domain import temporal_names
from domain.books import BooksProgress
from workflows import steps

_STEPS_PER_RUN = 200


@workflow.defn(name=temporal_names.CHECK_BOOKS_WORKFLOW)
class CheckBooksWorkflow:
    """Goes through all tenants. Its history stays short: after some steps it goes on in another run."""

    @workflow.run
    async def run(self, progress: BooksProgress) -> BooksProgress:
        for _ in range(_STEPS_PER_RUN):
            if progress.is_done:
                return progress
            progress = await steps.check_books(progress)
        return workflow.continue_as_new(progress)
