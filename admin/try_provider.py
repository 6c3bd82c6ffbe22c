"""One job at a provider with the operator's own key, step by step; nothing of it is stored."""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from composition import ServiceSettings
from composition.providers import Providers, providers
from composition.repositories import catalog, new_id
from composition.storage import ImagePipeline, result_decoders, result_images
from domain.errors import InvalidInput, ProviderTimedOut, TransientError
from domain.generation import GenerationRequest
from domain.input_files import ImageFacts
from domain.ports import Provider
from domain.provider import AttemptRef, JobStatus, ProviderJob, ProviderResult, Submission

_POLL_INTERVAL_SECONDS = 3.0


async def try_provider(
    settings: ServiceSettings, provider: str, model: str | None, prompt: str
) -> dict[str, Any]:
    """Submit, wait, download, inspect the image. Raises the errors that a workflow would meet."""
    request, deadline_seconds = _request(settings, provider, model, prompt)
    _log(f"model {request.model} is {request.endpoint} at {provider}; {request.parameters}")
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        decoders = await stack.enter_async_context(result_decoders(settings))
        found_providers = await stack.enter_async_context(providers(settings, decoders))
        images = await stack.enter_async_context(result_images(settings, decoders))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="darkroom-")))
        # No webhook: no API would be there to receive it.
        submission = Submission(AttemptRef(new_id("try")), request, "")
        if provider in found_providers.synchronous:
            result, found = await _call(found_providers, images, submission, folder)
        else:
            result = await _wait(found_providers, submission, deadline_seconds)
            found = await _download(found_providers, images, provider, result)
    return {
        "model": request.model,
        "status": result.status,
        "code": result.code,
        "provider_message": result.provider_message,
        "cost": f"{result.cost.amount} {result.cost.unit}" if result.cost else None,
        "images": [f"{facts.width}x{facts.height} {facts.content_type}" for facts in found],
        "seconds": round(time.monotonic() - started, 1),
    }


def _request(
    settings: ServiceSettings, provider: str, model: str | None, prompt: str
) -> tuple[GenerationRequest, float]:
    models = catalog(settings)
    if provider not in models.providers:
        raise InvalidInput(errors=(("provider", f"one of {', '.join(models.providers) or 'none'}"),))
    own = [each for each in models.models.values() if each.provider == provider]
    makes_images = (each.id for each in own if "text_to_image" in each.kinds)
    chosen = model or next(makes_images, "")
    request = models.build_request(chosen, {"prompt": prompt}, {})
    if request.provider != provider:
        raise InvalidInput(errors=(("model", f"one of {', '.join(each.id for each in own)}"),))
    return request, models.models[chosen].timing.deadline_seconds


async def _call(
    found: Providers, images: ImagePipeline, submission: Submission, folder: Path
) -> tuple[ProviderResult, list[ImageFacts]]:
    _log("calling; the response is the image itself, so this may take minutes")
    call = await found.synchronous[submission.request.provider].generate(submission, folder)
    _log(f"response {call.job_id}: {call.result.status}")
    return call.result, [await _facts(images, path) for path in call.files]


async def _wait(found: Providers, submission: Submission, deadline_seconds: float) -> ProviderResult:
    provider = found.with_jobs[submission.request.provider]
    try:
        async with asyncio.timeout(deadline_seconds):
            job = await provider.submit(submission)
            _log(f"accepted as {job.job_id}")
            return await _end(provider, submission, job)
    except TimeoutError:
        raise ProviderTimedOut from None


async def _end(provider: Provider, submission: Submission, job: ProviderJob) -> ProviderResult:
    while True:
        await asyncio.sleep(_POLL_INTERVAL_SECONDS)
        try:
            result = await provider.poll_job(submission.request, job)
        except TransientError as error:
            _log(f"polled: {error}")
            continue
        _log(f"polled: {result.status}{f' ({result.unknown_status})' if result.unknown_status else ''}")
        if result.status is not JobStatus.RUNNING:
            return result


async def _download(
    found: Providers, images: ImagePipeline, provider: str, result: ProviderResult
) -> list[ImageFacts]:
    all_facts = []
    for file in result.files:
        async with images.downloader.download(file.url, found.with_jobs[provider].result_hosts) as path:
            facts = await _facts(images, path)
        _log(f"downloaded {facts.size_bytes} bytes: {facts.width}x{facts.height} {facts.content_type}")
        all_facts.append(facts)
    return all_facts


async def _facts(images: ImagePipeline, path: Path) -> ImageFacts:
    async with images.inspector.prepare_image(path, "") as image:
        return image.facts


def _log(line: str) -> None:
    sys.stderr.write(f"{line}\n")
