"""Submitting a job to its provider, asking how it went, and calling it off."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from temporalio import activity

from activities.door import Door
from activities.inputs import Inputs
from activities.metrics import count_poll, count_submit
from activities.patience import patiently
from activities.synchronous import SynchronousCalls
from domain.errors import ContentRejected, PermanentError, ProviderThrottled, SubmitAmbiguous, TransientError
from domain.generation import GenerationRequest
from domain.ports import Attempts, Provider
from domain.provider import (
    Answer,
    AttemptRef,
    PollAnswer,
    ProviderJob,
    Submission,
    SubmitAnswer,
    SubmitState,
    Verdict,
)

# For a 429 that does not say how long.
_PAUSE_SECONDS = 5.0


class ProviderActivities:
    """Talks to whichever provider the attempt's row names.

    webhook_url: makes the address at which a provider may report on an attempt; empty if it is not to.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        synchronous: SynchronousCalls,
        attempts: Attempts,
        inputs: Inputs,
        door: Door,
        webhook_url: Callable[[str, AttemptRef], str],
    ) -> None:
        self._providers = providers
        self._synchronous = synchronous
        self._attempts = attempts
        self._inputs = inputs
        self._door = door
        self._webhook_url = webhook_url

    @activity.defn
    async def submit_job(self, attempt: AttemptRef) -> SubmitAnswer:
        """Submit at most once. Raises a TransientError only if the provider provably took nothing."""
        begun = await self._attempts.begin(attempt)
        if isinstance(begun, SubmitAnswer):
            return begun
        answer = await _uncut(self._send(attempt, begun))
        count_submit(begun.provider, answer.state.value)
        if activity.info().attempt > 1:
            # Whoever came while the provider asked to be left alone is still at the door.
            await self._door.hand_out(begun.provider)
        return answer

    @activity.defn
    async def fetch_result(self, attempt: AttemptRef) -> PollAnswer:
        """Ask once. "Not now" is an answer too: the workflow's timer is the retry."""
        record = await self._attempts.job(attempt)
        if record.verdict is not None:
            return record.verdict
        provider = self._providers.get(record.request.provider)
        if record.job is None or provider is None:  # nobody can be asked: the answer may yet come by itself
            return PollAnswer(Verdict.RUNNING)
        try:
            result = await provider.fetch(record.request, record.job)
        except TransientError as error:
            count_poll(provider.name, error.code)
            return PollAnswer(Verdict.RUNNING, retry_after_seconds=error.retry_after_seconds)
        if result.unknown_status is not None:
            activity.logger.warning("%s has a new status: %.60r", provider.name, result.unknown_status)
        count_poll(provider.name, "unknown_status" if result.unknown_status else result.verdict.value)
        if result.verdict is not Verdict.RUNNING:
            await self._attempts.record_result(attempt, result)
        return PollAnswer.of(result)

    @activity.defn
    async def cancel_job(self, attempt: AttemptRef) -> bool:
        """Ask the provider to stop; False if it cannot, or there is nothing to stop."""
        record = await self._attempts.job(attempt)
        provider = self._providers.get(record.request.provider)
        if record.job is None or provider is None:
            return False
        return await provider.cancel(record.request, record.job)

    async def _send(self, attempt: AttemptRef, request: GenerationRequest) -> SubmitAnswer:
        """One submit, and what became of it written down before anyone is told."""
        with TemporaryDirectory(prefix="darkroom-") as folder:
            try:
                made = await self._make(attempt, request, Path(folder))
            except TransientError as error:
                count_submit(request.provider, error.code)
                await patiently(partial(self._attempts.not_sent, attempt))
                raise
            except PermanentError as error:
                await patiently(partial(self._attempts.rejected, attempt, error))
                at = error.at if isinstance(error, ContentRejected) else None
                return SubmitAnswer(SubmitState.REJECTED, code=error.code, moderated_at=at)
            except SubmitAmbiguous as error:
                activity.logger.warning("submit of %s is ambiguous: %s", attempt.generation_id, error)
                return await patiently(partial(self._attempts.unknown, attempt))
            # The provider has it from here on: no failure below may look as if it had not, and a job id that
            # is not written down is lost.
            if isinstance(made, Answer):
                return await self._synchronous.keep(attempt, request, made)
            await patiently(partial(self._attempts.accepted, attempt, made))
            return SubmitAnswer(SubmitState.ACCEPTED, job_id=made.job_id)

    async def _make(
        self, attempt: AttemptRef, request: GenerationRequest, folder: Path
    ) -> ProviderJob | Answer:
        """Ask the provider: for a job, or for the images themselves. Raises like the two ports."""
        name = request.provider
        if closed_seconds := await self._door.closed_seconds(name):
            raise ProviderThrottled(f"{name} is left alone", retry_after_seconds=closed_seconds)
        async with self._inputs.opened(request) as (images, mask):
            submission = Submission(attempt, request, self._webhook_url(name, attempt), images, mask)
            try:
                if name in self._synchronous.providers:
                    return await self._synchronous.providers[name].generate(submission, folder)
                return await self._providers[name].submit(submission)
            except ProviderThrottled as error:
                # One 429 is meant for everyone: nobody else is let in before it is over.
                await self._door.slow_down(name, error.retry_after_seconds or _PAUSE_SECONDS)
                raise


async def _uncut(sending: Coroutine[Any, Any, SubmitAnswer]) -> SubmitAnswer:
    """To its end, also where Temporal has given the activity up for heartbeats that it missed.

    What the provider makes is paid for, and the attempt's row takes the answer, whoever reads it there.
    """
    task = asyncio.create_task(sending)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if activity.is_worker_shutdown():
                task.cancel()
                raise
    return task.result()
