"""Submitting a job to its provider, asking how it went, and calling it off."""

from collections.abc import Callable, Mapping

from temporalio import activity

from activities.metrics import count_poll, count_submit
from domain.errors import PermanentError, SubmitAmbiguous, TransientError
from domain.generation import GenerationRequest
from domain.ports import Attempts, Provider
from domain.provider import AttemptRef, PollAnswer, Submission, SubmitAnswer, SubmitState, Verdict


class ProviderActivities:
    """Talks to whichever provider the generation's row names.

    webhook_url: makes the address at which a provider may report on an attempt.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        attempts: Attempts,
        webhook_url: Callable[[str, AttemptRef], str],
    ) -> None:
        self._providers = providers
        self._attempts = attempts
        self._webhook_url = webhook_url

    @activity.defn
    async def submit_job(self, attempt: AttemptRef) -> SubmitAnswer:
        """Submit at most once. Raises a TransientError only if the provider provably took nothing."""
        begun = await self._attempts.begin(attempt)
        if isinstance(begun, SubmitAnswer):
            return begun
        answer = await self._send(attempt, begun)
        count_submit(begun.provider, answer.state.value)
        return answer

    @activity.defn
    async def fetch_result(self, attempt: AttemptRef) -> PollAnswer:
        """Ask once. "Not now" is an answer too: the workflow's timer is the retry."""
        request, job = await self._attempts.job(attempt)
        if job is None:
            return PollAnswer(Verdict.RUNNING)
        try:
            result = await self._providers[request.provider].fetch(request, job)
        except TransientError as error:
            count_poll(request.provider, error.code)
            return PollAnswer(Verdict.RUNNING, retry_after_seconds=error.retry_after_seconds)
        count_poll(request.provider, result.verdict.value)
        if result.verdict is not Verdict.RUNNING:
            await self._attempts.record_result(attempt, result)
        return PollAnswer(result.verdict, result.code, result.retry_after_seconds)

    @activity.defn
    async def cancel_job(self, attempt: AttemptRef) -> bool:
        """Ask the provider to stop; False if it cannot, or there is nothing to stop."""
        request, job = await self._attempts.job(attempt)
        if job is None:
            return False
        return await self._providers[request.provider].cancel(request, job)

    async def _send(self, attempt: AttemptRef, request: GenerationRequest) -> SubmitAnswer:
        """One submit, and what became of it written down before anyone is told."""
        submission = Submission(attempt, request, self._webhook_url(request.provider, attempt))
        try:
            job = await self._providers[request.provider].submit(submission)
        except TransientError as error:
            count_submit(request.provider, error.code)
            await self._attempts.not_sent(attempt)
            raise
        except PermanentError as error:
            await self._attempts.rejected(attempt, error.code, str(error))
            return SubmitAnswer(SubmitState.REJECTED, code=error.code)
        except SubmitAmbiguous as error:
            activity.logger.warning("submit of %s is ambiguous: %s", attempt.generation_id, error)
            return await self._attempts.unknown(attempt)
        await self._attempts.accepted(attempt, job)
        return SubmitAnswer(SubmitState.ACCEPTED, job_id=job.job_id)
