"""Submitting a job to its provider, polling it, and canceling it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from temporalio import activity

from activities.metrics import count_poll
from activities.submit import Submit, Submitter
from domain.errors import DatabaseUnavailable, TransientError
from domain.ports import Attempts, Provider
from domain.progress import PollReport, PollStatus
from domain.provider import (
    AttemptRef,
    JobStatus,
    PollResult,
    ProviderJob,
    ProviderResult,
    SubmitRequest,
    SubmitResult,
    SubmitState,
)


class ProviderActivities:
    """Talks to the provider that the attempt's row names.

    webhook_urls: builds every address that an attempt may have been submitted with; by them a provider may
    find a lost job. tentative_seconds: how long a provider must report a failure that it may not mean, before
    it is believed.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        attempts: Attempts,
        submitter: Submitter,
        webhook_urls: Callable[[str, AttemptRef], Collection[str]],
        tentative_seconds: float,
    ) -> None:
        self._providers = providers
        self._attempts = attempts
        self._submitter = submitter
        self._webhook_urls = webhook_urls
        self._tentative_seconds = tentative_seconds

    @activity.defn
    async def submit_job(self, wanted: SubmitRequest) -> SubmitResult:
        """Submit at most once. Raises a TransientError only if the provider provably took nothing."""
        permit = await self._attempts.begin_submit(wanted.attempt)
        if permit.stored is not None:
            if permit.stored.state is SubmitState.UNKNOWN and await self.find_job(wanted.attempt):
                return (await self._attempts.begin_submit(wanted.attempt)).stored or permit.stored
            return permit.stored
        assert permit.request is not None
        assert permit.begun_at is not None
        return await self._submitter.submit(Submit(wanted, permit.request, permit.begun_at, permit.closure))

    @activity.defn
    async def fetch_result(self, attempt: AttemptRef) -> PollResult:
        """Poll once. "Not now" is a result too: the workflow's timer is the retry."""
        record = await self._attempts.get_attempt(attempt)
        if record.result is not None:
            return record.result
        found = await self.find_job(attempt) if record.job is None else None
        job, provider = record.job or found, self._providers.get(record.request.provider)
        if job is None or provider is None:  # nothing to poll; a webhook may still come
            return PollResult(JobStatus.RUNNING)
        try:
            result = await provider.poll_job(record.request, job)
        except TransientError as error:
            count_poll(provider.name, error.code)
            await self._record_poll(attempt, PollReport(PollStatus.UNAVAILABLE, error.code))
            polled = PollResult(JobStatus.RUNNING, retry_after_seconds=error.retry_after_seconds)
        else:
            polled = await self._record(attempt, provider.name, result)
        return replace(polled, job_id=found.job_id) if found is not None else polled

    async def find_job(self, attempt: AttemptRef) -> ProviderJob | None:
        """Look for the job of a submit whose end is unknown, where the provider can tell, and record it.

        Only read, never sent again: that it is not found proves nothing.
        """
        record = await self._attempts.get_attempt(attempt)
        name = record.request.provider
        provider, urls = self._providers.get(name), self._webhook_urls(name, attempt)
        if record.job is not None or provider is None or not urls:
            return record.job
        try:
            job = await provider.find_job(urls, record.begun_at)
        except TransientError as error:
            activity.logger.warning("%s could not be looked up: %s", attempt.generation_id, error)
            return None
        if job is not None:
            await self._attempts.record_accepted(attempt, job)
            activity.logger.info("found the job of %s at %s", attempt.generation_id, name)
        return job

    @activity.defn
    async def cancel_job(self, attempt: AttemptRef) -> bool:
        """Ask the provider to stop; False if it cannot, or there is nothing to stop."""
        record = await self._attempts.get_attempt(attempt)
        provider = self._providers.get(record.request.provider)
        if record.job is None or provider is None:
            return False
        return await provider.cancel_job(record.request, record.job)

    async def _record(self, attempt: AttemptRef, provider: str, result: ProviderResult) -> PollResult:
        """Record how far a job is, or its end, if it is one that is believed."""
        if result.unknown_status is not None:
            activity.logger.warning("%s has a new status: %.60r", provider, result.unknown_status)
        count_poll(provider, "unknown_status" if result.unknown_status else result.status.value)
        if result.is_tentative and await self._attempts.record_tentative(attempt) < self._tentative_seconds:
            await self._record_poll(attempt, PollReport.of(result.progress, result.code))
            return PollResult(JobStatus.RUNNING, retry_after_seconds=result.retry_after_seconds)
        if result.status is JobStatus.RUNNING:
            await self._record_poll(attempt, PollReport.of(result.progress))
        else:
            await self._attempts.record_result(attempt, result)
        return PollResult.of(result)

    async def _record_poll(self, attempt: AttemptRef, report: PollReport) -> None:
        """Record how far a job is, if that is possible now: the next poll brings it again."""
        try:
            await self._attempts.record_poll(attempt, report)
        except DatabaseUnavailable as error:
            activity.logger.warning("a poll of %s was not recorded: %s", attempt.generation_id, error)
