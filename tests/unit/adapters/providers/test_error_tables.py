"""The tables of errors: sound in themselves, and what the adapters really do where they look nothing up."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.providers import bfl, fal, gemini, openai, replicate, together
from adapters.providers.meanings import Meaning
from adapters.providers.spool import Spool
from domain.errors import ContentRejected, ProviderFailed, ServiceError, SubmitAmbiguous, TransientError
from domain.moderation import ModeratedAt
from domain.ports import Provider, SynchronousProvider
from domain.provider import JobStatus, ProviderResult, Submission
from tests.unit.adapters import bfl_requests, fal_requests, replicate_requests
from tests.unit.adapters.synchronous import KEY, asking, spool_answering

TABLES: dict[str, Mapping[str, Meaning]] = {
    "fal": fal.ERRORS,
    "replicate": replicate.ERRORS,
    "bfl": bfl.ERRORS,
    "openai": openai.ERRORS,
    "gemini": gemini.ERRORS,
    "together": together.ERRORS,
}
ROWS = [(provider, name, meaning) for provider, table in TABLES.items() for name, meaning in table.items()]
ADAPTERS: dict[str, tuple[Callable[[Any], Provider], Submission]] = {
    "fal": (fal_requests.fal_answering, fal_requests.SUBMISSION),
    "replicate": (replicate_requests.replicate_answering, replicate_requests.SUBMISSION),
    "bfl": (bfl_requests.bfl_answering, bfl_requests.SUBMISSION),
}
SYNCHRONOUS: dict[str, Callable[[Spool], SynchronousProvider]] = {
    "openai": lambda spool: openai.OpenAiProvider(spool, key=KEY, url=URL),
    "gemini": lambda spool: gemini.GeminiProvider(spool, key=KEY, url=URL),
    "together": lambda spool: together.TogetherProvider(spool, key=KEY, url=URL),
}
URL = "https://provider.test/v1"


@pytest.mark.parametrize(("provider", "name", "meaning"), ROWS, ids=lambda value: str(value)[:40])
def test_a_row_is_sound(provider: str, name: str, meaning: Meaning) -> None:
    is_about_content = meaning.error is ContentRejected

    assert (meaning.at is not None) is is_about_content
    assert not (meaning.does_not_charge and (is_about_content or meaning.error is SubmitAmbiguous))
    assert meaning.does_not_charge or not issubclass(meaning.error, TransientError)


@pytest.mark.parametrize("provider", ADAPTERS)
@pytest.mark.parametrize(
    ("status", "names"),
    [
        (429, ["429"]),
        (500, ["5xx on submit"]),
        (502, ["5xx on submit"]),
        (503, ["5xx on submit"]),
        (400, ["4xx on submit", "4xx"]),
        (402, ["402", "4xx on submit", "4xx"]),
        (422, ["422 on submit", "422"]),
    ],
)
async def test_a_submit_ends_as_its_table_says(provider: str, status: int, names: list[str]) -> None:
    answering, submission = ADAPTERS[provider]
    expected = next(TABLES[provider][name] for name in names if name in TABLES[provider])
    with pytest.raises(ServiceError) as caught:
        await answering(httpx.Response(status)).submit(submission)

    assert type(caught.value) is expected.error


@pytest.mark.parametrize("provider", SYNCHRONOUS)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 422, 429, 500, 502, 503, 504])
async def test_a_call_that_gives_no_reason_ends_as_its_table_says(
    provider: str, status: int, tmp_path: Path
) -> None:
    table = TABLES[provider]
    expected = table[str(status)] if str(status) in table else table[f"{status // 100}xx"]
    with pytest.raises(ServiceError) as caught:
        await SYNCHRONOUS[provider](spool_answering(httpx.Response(status))).generate(
            asking(provider), tmp_path
        )

    assert type(caught.value) is expected.error


@pytest.mark.parametrize("provider", SYNCHRONOUS)
async def test_a_call_without_an_image_ends_as_its_table_says(provider: str, tmp_path: Path) -> None:
    expected = TABLES[provider]["200 without an image"]
    answer = await SYNCHRONOUS[provider](spool_answering({})).generate(asking(provider), tmp_path)

    assert (answer.result.code, answer.result.does_not_charge) == (
        expected.error.code,
        expected.does_not_charge,
    )


def test_a_failed_job_is_told_in_full() -> None:
    result = Meaning(ContentRejected, does_not_charge=False, at=ModeratedAt.OUTPUT).failed("nul \0")

    assert result == ProviderResult(
        JobStatus.FAILED,
        code="content_rejected",
        moderated_at=ModeratedAt.OUTPUT,
        does_not_charge=False,
        provider_message="nul ",
    )


def test_what_is_raised_has_words_and_says_what_was_refused() -> None:
    refused = Meaning(ContentRejected, at=ModeratedAt.OUTPUT).raised("words")
    failed = Meaning(ProviderFailed).raised("half \ud800 " + "x" * 3000)

    assert isinstance(refused, ContentRejected)
    assert (refused.at, str(refused)) == (ModeratedAt.OUTPUT, "words")
    assert (type(failed), str(failed)[:8], len(str(failed))) == (ProviderFailed, "half ? x", 2000)
