"""What surrounds every activity: errors become Temporal failures, and running activities send heartbeats.

A failure that enters Temporal has a code and a fixed message of our own. A provider's message, a prompt in a
database error or an address in a traceback stay in the log: no codec encrypts a failure.
"""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.errors import PermanentError, ServiceError, TransientError, WorkerStopping

_HEARTBEATS_PER_TIMEOUT = 3


class FailureMappingInterceptor(Interceptor):
    """Gives every activity the same retry semantics, read from the error's class."""

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,
    ) -> ActivityInboundInterceptor:
        return _MapErrors(next)


class HeartbeatInterceptor(Interceptor):
    """Sends heartbeats for every activity that has a heartbeat timeout, so a dead worker is noticed soon."""

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,
    ) -> ActivityInboundInterceptor:
        return _SendHeartbeats(next)


class StoppingInterceptor(Interceptor):
    """Refuses activities that begin after their process was told to stop.

    A task may have been fetched just before. Begun now, a call that takes minutes would be cut; refused, it
    is given to another worker.
    """

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,
    ) -> ActivityInboundInterceptor:
        return _RefuseWhenStopping(next, self._stop)


class _RefuseWhenStopping(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, stop: asyncio.Event) -> None:
        super().__init__(next)
        self._stop = stop

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        # A local activity belongs to a workflow task that is under way, and finishes with it.
        if self._stop.is_set() and not activity.info().is_local:
            raise _failure(WorkerStopping())
        return await super().execute_activity(input)


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


class _SendHeartbeats(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        timeout = activity.info().heartbeat_timeout
        if activity.info().is_local or not timeout:
            return await super().execute_activity(input)
        interval_seconds = timeout.total_seconds() / _HEARTBEATS_PER_TIMEOUT
        heartbeats = asyncio.create_task(_send_heartbeats(interval_seconds))
        try:
            return await super().execute_activity(input)
        finally:
            heartbeats.cancel()


def _failure(
    error: ServiceError, *, non_retryable: bool = False, delay_seconds: float | None = None
) -> ApplicationError:
    return ApplicationError(
        error.message,
        type=error.code,
        non_retryable=non_retryable,
        next_retry_delay=timedelta(seconds=delay_seconds) if delay_seconds is not None else None,
        # Expected: our own metrics count it, and it does not count as a failing worker.
        category=ApplicationErrorCategory.BENIGN,
    )


async def _send_heartbeats(interval_seconds: float) -> None:
    while True:
        await asyncio.sleep(interval_seconds)
        activity.heartbeat()
