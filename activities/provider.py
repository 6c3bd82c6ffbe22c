"""Submitting a job to its provider, polling it, and canceling it."""

from collections.abc import Mapping

from temporalio import activity

from activities.metrics import count_poll
from activities.submit import Submit, Submitter
from domain.errors import TransientError
from domain.ports import Attempts, Provider
from domain.provider import AttemptRef, JobStatus, PollResult, SubmitRequest, SubmitResult


class ProviderActivities:
    """Talks to the provider that the attempt's row names."""

    def __init__(self, providers: Mapping[str, Provider], attempts: Attempts, submitter: Submitter) -> None:
        self._providers = providers
        self._attempts = attempts
        self._submitter = submitter

    @activity.defn
    async def submit_job(self, wanted: SubmitRequest) -> SubmitResult:
        """Submit at most once. Raises a TransientError only if the provider provably took nothing."""
        permit = await self._attempts.begin_submit(wanted.attempt)
        if permit.stored is not None:
            return permit.stored
        assert permit.request is not None
        assert permit.begun_at is not None
        return await self._submitter.submit(Submit(wanted, permit.request, permit.begun_at))

    @activity.defn
    async def fetch_result(self, attempt: AttemptRef) -> PollResult:
        """Poll once. "Not now" is a result too: the workflow's timer is the retry."""
        record = await self._attempts.get_attempt(attempt)
        if record.result is not None:
            return record.result
        provider = self._providers.get(record.request.provider)
        if record.job is None or provider is None:  # nothing to poll; a webhook may still come
            return PollResult(JobStatus.RUNNING)
        try:
            result = await provider.poll_job(record.request, record.job)
        except TransientError as error:
            count_poll(provider.name, error.code)
            return PollResult(JobStatus.RUNNING, retry_after_seconds=error.retry_after_seconds)
        if result.unknown_status is not None:
            activity.logger.warning("%s has a new status: %.60r", provider.name, result.unknown_status)
        count_poll(provider.name, "unknown_status" if result.unknown_status else result.status.value)
        if result.status is not JobStatus.RUNNING:
            await self._attempts.record_result(attempt, result)
        return PollResult.of(result)

    @activity.defn
    async def cancel_job(self, attempt: AttemptRef) -> bool:
        """Ask the provider to stop; False if it cannot, or there is nothing to stop."""
        record = await self._attempts.get_attempt(attempt)
        provider = self._providers.get(record.request.provider)
        if record.job is None or provider is None:
            return False
        return await provider.cancel_job(record.request, record.job)
