"""One job at a provider with the operator's own key, step by step; nothing of it is kept."""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import composition
from adapters.database.ids import new_id
from composition import Images, Providers
from domain.errors import InvalidInput, ProviderTimedOut, TransientError
from domain.generation import GenerationRequest
from domain.input_files import ImageFacts
from domain.ports import Provider
from domain.provider import AttemptRef, JobStatus, ProviderJob, ProviderResult, Submission
from settings import Settings

_POLL_EVERY_SECONDS = 3.0


async def try_provider(settings: Settings, provider: str, model: str | None, prompt: str) -> dict[str, Any]:
    """Submit, wait, download, look at the image. Raises any of our errors, as the workflow would meet it."""
    request, deadline_seconds = _request(settings, provider, model, prompt)
    _say(f"model {request.model} is {request.endpoint} at {provider}; {request.parameters}")
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        providers = await stack.enter_async_context(composition.providers(settings))
        images = await stack.enter_async_context(composition.images(settings))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="darkroom-")))
        # No webhook: nobody would be there to hear it.
        submission = Submission(AttemptRef(new_id("try")), request, "")
        if provider in providers.synchronous:
            result, found = await _call(providers, images, submission, folder)
        else:
            result = await _wait(providers, submission, deadline_seconds)
            found = await _download(providers, images, provider, result)
    return {
        "model": request.model,
        "verdict": result.verdict,
        "code": result.code,
        "provider_message": result.provider_message,
        "cost": f"{result.cost.amount} {result.cost.unit}" if result.cost else None,
        "images": [f"{facts.width}x{facts.height} {facts.content_type}" for facts in found],
        "seconds": round(time.monotonic() - started, 1),
    }


def _request(
    settings: Settings, provider: str, model: str | None, prompt: str
) -> tuple[GenerationRequest, float]:
    catalog = composition.catalog(settings)
    if provider not in catalog.providers:
        raise InvalidInput(errors=(("provider", f"one of {', '.join(catalog.providers) or 'none'}"),))
    own = [each for each in catalog.models.values() if each.provider == provider]
    makes_images = (each.id for each in own if "text_to_image" in each.kinds)
    chosen = model or next(makes_images, "")
    request = catalog.request(chosen, {"prompt": prompt}, {})
    if request.provider != provider:
        raise InvalidInput(errors=(("model", f"one of {', '.join(each.id for each in own)}"),))
    return request, catalog.models[chosen].waits.deadline_seconds


async def _call(
    providers: Providers, images: Images, submission: Submission, folder: Path
) -> tuple[ProviderResult, list[ImageFacts]]:
    _say("calling; the answer is the image itself, so this may take minutes")
    answer = await providers.synchronous[submission.request.provider].generate(submission, folder)
    _say(f"answered as {answer.job_id}: {answer.result.verdict}")
    return answer.result, [await images.inspector.inspect(path) for path in answer.files]


async def _wait(providers: Providers, submission: Submission, deadline_seconds: float) -> ProviderResult:
    provider = providers.with_jobs[submission.request.provider]
    try:
        async with asyncio.timeout(deadline_seconds):
            job = await provider.submit(submission)
            _say(f"accepted as {job.job_id}")
            return await _end(provider, submission, job)
    except TimeoutError:
        raise ProviderTimedOut from None


async def _end(provider: Provider, submission: Submission, job: ProviderJob) -> ProviderResult:
    while True:
        await asyncio.sleep(_POLL_EVERY_SECONDS)
        try:
            result = await provider.fetch(submission.request, job)
        except TransientError as error:
            _say(f"asked: {error}")
            continue
        _say(f"asked: {result.verdict}{f' ({result.unknown_status})' if result.unknown_status else ''}")
        if result.verdict is not JobStatus.RUNNING:
            return result


async def _download(
    providers: Providers, images: Images, provider: str, result: ProviderResult
) -> list[ImageFacts]:
    found = []
    for file in result.files:
        async with images.downloader.fetch(file.url, providers.with_jobs[provider].result_hosts) as path:
            facts = await images.inspector.inspect(path)
        _say(f"downloaded {facts.size_bytes} bytes: {facts.width}x{facts.height} {facts.content_type}")
        found.append(facts)
    return found


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
