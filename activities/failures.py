"""The one place where errors become Temporal failures.

What enters Temporal is a code and our fixed text. A provider's words, a prompt in a database error or an
address in a traceback's message stay in the log: no codec encrypts a failure.
"""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.errors import PermanentError, ServiceError, TransientError


class FailureMapping(Interceptor):
    """Gives every activity the same retry semantics, read off the error's class."""

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,
    ) -> ActivityInboundInterceptor:
        return _MapErrors(next)


class _MapErrors(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except (ApplicationError, asyncio.CancelledError):
            raise
        except PermanentError as error:
            raise _failure(error, non_retryable=True) from None
        except TransientError as error:
            activity.logger.info("%s, will retry: %s", error.code, error)
            raise _failure(error, delay_seconds=error.retry_after_seconds) from None
        except ServiceError as error:
            raise _failure(error) from None
        except Exception as error:  # noqa: BLE001 - a bug; its text may hold anything, so it is logged only
            activity.logger.exception("internal error")
            message = f"{ServiceError.message} ({type(error).__name__})"
            raise ApplicationError(message, type=ServiceError.code) from None


def _failure(
    error: ServiceError, *, non_retryable: bool = False, delay_seconds: float | None = None
) -> ApplicationError:
    return ApplicationError(
        error.message,
        type=error.code,
        non_retryable=non_retryable,
        next_retry_delay=timedelta(seconds=delay_seconds) if delay_seconds is not None else None,
        # Expected weather: it is counted in our own metrics and does not count as a failing worker.
        category=ApplicationErrorCategory.BENIGN,
    )
