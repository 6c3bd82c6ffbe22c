"""One submit, and what each of its ends means."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from temporalio import activity

from activities.input_files import InputFileLoader
from activities.metrics import count_submit
from activities.partial_images import PartialImageRecorder
from activities.provider_slots import SlotGranter
from activities.retry import retry_transient
from activities.sync_results import SyncResultRecorder
from domain.errors import (
    PermanentError,
    ProviderThrottled,
    ProviderUnavailable,
    StorageUnavailable,
    SubmitAmbiguous,
    TransientError,
    WorkerStopping,
)
from domain.generation import GenerationRequest
from domain.ports import Attempts, Closure, Provider, SynchronousProvider
from domain.provider import (
    AttemptRef,
    OnPartialImage,
    ProviderJob,
    Pushback,
    Submission,
    SubmitRequest,
    SubmitResult,
    SubmitState,
    SyncResult,
)


@dataclass
class Submit:
    """One try of an attempt.

    Attributes:
        begun_at: Which try it is.
        closure: What was known of the provider when it began.
        is_asked: Whether a byte may have left for the provider.
        on_partial_image: What partial images are given to, if they are wanted.
        cut: Set when the worker stops and its grace is over.
    """

    wanted: SubmitRequest
    request: GenerationRequest
    begun_at: datetime
    closure: Closure
    is_asked: bool = False
    on_partial_image: OnPartialImage | None = None
    cut: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def attempt(self) -> AttemptRef:
        return self.wanted.attempt


class Submitter:
    """Submits once, and records the end before it is returned.

    webhook_url: builds the address at which a provider may report on an attempt; empty if it is not to.
    account_wide: providers whose rate limit is known to hold for all models together.
    stop_grace_seconds: for how long a call goes on after the worker was told to stop.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        synchronous: Mapping[str, SynchronousProvider],
        attempts: Attempts,
        sync_results: SyncResultRecorder,
        partial_images: PartialImageRecorder,
        inputs: InputFileLoader,
        slots: SlotGranter,
        webhook_url: Callable[[str, AttemptRef], str],
        account_wide: Collection[str],
        stop_grace_seconds: float,
    ) -> None:
        self._providers = providers
        self._synchronous = synchronous
        self._attempts = attempts
        self._sync_results = sync_results
        self._partial_images = partial_images
        self._inputs = inputs
        self._slots = slots
        self._webhook_url = webhook_url
        self._account_wide = account_wide
        self._stop_grace_seconds = stop_grace_seconds

    async def submit(self, submit: Submit) -> SubmitResult:
        """Finish even if Temporal timed the activity out for missed heartbeats.

        The provider's work is paid for, and the attempt's row keeps the result for the next run to read. Only
        a worker that stops cuts the call, after its grace; it writes down that it did.
        """
        task = asyncio.create_task(self._submit(submit))
        cut = asyncio.create_task(self._cut_after_grace(submit))
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((task,))
        cut.cancel()
        result = task.result()
        count_submit(submit.request.provider, result.state.value)
        return result

    async def _cut_after_grace(self, submit: Submit) -> None:
        """Keep our own time: Temporal cancels an activity once, and may have for a missed heartbeat."""
        await activity.wait_for_worker_shutdown()
        await asyncio.sleep(self._stop_grace_seconds)
        submit.cut.set()

    async def _submit(self, submit: Submit) -> SubmitResult:
        closure = submit.closure
        if closure.code is not None and submit.wanted.gives_back_slot:
            return await self._push_back(submit, Pushback(closure.code, closure.seconds, by_closure=True))
        try:
            folder = TemporaryDirectory(prefix="darkroom-")
        except OSError as error:
            await self._record_not_sent(submit)
            raise StorageUnavailable(f"no folder for a submit: {error}") from error
        recording = self._partial_images.recording(submit.attempt, submit.request)
        with folder as path:
            async with recording as submit.on_partial_image:
                result = await self._call_provider(submit, Path(path))
        if closure.has_evidence and result.state in (SubmitState.ACCEPTED, SubmitState.REJECTED):
            await self._slots.open_after(submit.request)
        return result

    async def _call_provider(self, submit: Submit, folder: Path) -> SubmitResult:
        """Ask the provider and record what it says.

        Raises a TransientError for what is to be tried again with the slot that the attempt has.
        """
        try:
            response = await self._ask_until_cut(submit, folder)
        except (ProviderThrottled, ProviderUnavailable) as error:
            count_submit(submit.request.provider, error.code)
            if not submit.wanted.gives_back_slot:
                await self._record_not_sent(submit)
                raise
            return await self._push_back(submit, self._pushback(submit, error))
        except TransientError:
            await self._record_not_sent(submit)
            raise
        except PermanentError as error:
            record = partial(self._attempts.record_rejected, submit.attempt, error, submit.begun_at)
            return await retry_transient(record)
        except SubmitAmbiguous as error:
            return await self._record_ambiguous(submit, str(error))
        # The provider has the job from here on: no failure below may look as if it had not, and a job id that
        # is not recorded is lost.
        if isinstance(response, SyncResult):
            return await self._sync_results.record(submit.attempt, submit.request, response)
        return await retry_transient(partial(self._attempts.record_accepted, submit.attempt, response))

    async def _ask_until_cut(self, submit: Submit, folder: Path) -> ProviderJob | SyncResult:
        """Raise like the ports of providers; if the worker stops, SubmitAmbiguous or WorkerStopping."""
        call = asyncio.create_task(self._ask(submit, folder))
        cut = asyncio.create_task(submit.cut.wait())
        await asyncio.wait((call, cut), return_when=asyncio.FIRST_COMPLETED)
        cut.cancel()
        if not call.done():
            call.cancel()
            await asyncio.wait((call,))
        if not call.cancelled():
            return call.result()
        if submit.is_asked:
            raise SubmitAmbiguous("the worker was stopped during the call")
        raise WorkerStopping

    async def _ask(self, submit: Submit, folder: Path) -> ProviderJob | SyncResult:
        request = submit.request
        name = request.provider
        async with self._inputs.load(request) as (images, mask):
            url = self._webhook_url(name, submit.attempt)
            submission = Submission(submit.attempt, request, url, images, mask, submit.on_partial_image)
            submit.is_asked = True
            if name in self._synchronous:
                return await self._synchronous[name].generate(submission, folder)
            return await self._providers[name].submit(submission)

    def _pushback(self, submit: Submit, error: ProviderThrottled | ProviderUnavailable) -> Pushback:
        is_account_wide = (
            isinstance(error, ProviderThrottled) and submit.request.provider in self._account_wide
        )
        return Pushback(error.code, error.retry_after_seconds, is_account_wide)

    async def _push_back(self, submit: Submit, pushback: Pushback) -> SubmitResult:
        """Give the slot back, and pass it on to whoever may use it."""
        record = partial(self._attempts.record_pushed_back, submit.attempt, pushback, submit.begun_at)
        result = await retry_transient(record)
        if result.closed and not pushback.by_closure:
            await self._slots.announce_closure(submit.request)
        await self._slots.grant_free_slots(submit.request.provider)
        return result

    async def _record_not_sent(self, submit: Submit) -> None:
        await retry_transient(partial(self._attempts.record_not_sent, submit.attempt, submit.begun_at))

    async def _record_ambiguous(self, submit: Submit, message: str) -> SubmitResult:
        """Record that it is unknown whether the provider took it.

        A job may still be found, or report itself. A call whose response had the images cannot: it is over.
        """
        activity.logger.warning("submit of %s is ambiguous: %s", submit.attempt.generation_id, message)
        if submit.request.provider in self._synchronous:
            record = partial(self._attempts.record_lost, submit.attempt, message, submit.begun_at)
        else:
            record = partial(self._attempts.record_unknown, submit.attempt, submit.begun_at)
        return await retry_transient(record)
