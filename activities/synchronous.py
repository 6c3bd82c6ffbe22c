"""Providers that answer with the images themselves, after minutes in which nothing else is known."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from activities.keeping import Keeper, free_indexes
from activities.patience import patiently
from domain.errors import ResultUnusable, ServiceError, StorageUnavailable
from domain.generation import Generation, GenerationRequest, Image
from domain.ports import Assets, Attempts, SynchronousProvider
from domain.provider import (
    Answer,
    AttemptRef,
    PollAnswer,
    ProviderResult,
    SubmitAnswer,
    SubmitState,
    Verdict,
)


class SynchronousCalls:
    """Their answers on the way to our storage. Once there is one, the money is spent."""

    def __init__(
        self,
        providers: Mapping[str, SynchronousProvider],
        attempts: Attempts,
        assets: Assets,
        keeper: Keeper,
    ) -> None:
        self.providers = providers
        self._attempts = attempts
        self._assets = assets
        self._keeper = keeper

    async def keep(self, attempt: AttemptRef, request: GenerationRequest, answer: Answer) -> SubmitAnswer:
        """Store what was answered, and write down what became of it."""
        generation = await patiently(partial(self._assets.expect_objects, attempt.generation_id))
        result, images = answer.result, list[Image]()
        if generation is not None and result.verdict is Verdict.SUCCEEDED:
            result, images = await self._kept(generation, request, answer)
        in_time = await patiently(partial(self._attempts.answered, attempt, answer.job_id, result, images))
        if generation is not None and images and not in_time:
            await self._keeper.discard(generation)
        return SubmitAnswer(SubmitState.ACCEPTED, job_id=answer.job_id, verdict=PollAnswer.of(result))

    async def _kept(
        self, generation: Generation, request: GenerationRequest, answer: Answer
    ) -> tuple[ProviderResult, list[Image]]:
        """What of the answer is in our storage now, and the verdict that follows from it."""
        files = answer.files[: request.n]
        indexes = free_indexes(len(files), answer.result.undelivered)
        paths = dict(zip(indexes, files, strict=True))
        try:
            images, unusable = await self._keeper.keep_all(generation, request.provider, paths)
        except StorageUnavailable as error:
            return _spoiled(answer.result, error), []
        if not images:
            return _spoiled(answer.result, ResultUnusable("no image of the answer can be used")), []
        return replace(answer.result, undelivered=(*answer.result.undelivered, *unusable)), images


def _spoiled(result: ProviderResult, error: ServiceError) -> ProviderResult:
    """Made and paid for, and lost on the way to us."""
    return replace(
        result, verdict=Verdict.FAILED, code=error.code, is_free=False, provider_message=str(error)
    )
