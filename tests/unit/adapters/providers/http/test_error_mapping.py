"""What a mapping raises, and what it makes of a failed job."""

from adapters.providers.http.error_mapping import ErrorMapping
from domain.errors import ContentRejected, ProviderFailed
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, ProviderResult


def test_a_failed_job_has_all_facts_of_its_mapping() -> None:
    result = ErrorMapping(ContentRejected, does_not_charge=False, moderated_at=ModeratedAt.OUTPUT).to_result(
        "nul \0"
    )

    assert result == ProviderResult(
        JobStatus.FAILED,
        code="content_rejected",
        moderated_at=ModeratedAt.OUTPUT,
        does_not_charge=False,
        provider_message="nul ",
    )


def test_an_error_has_a_storable_message_and_says_what_was_refused() -> None:
    refused = ErrorMapping(ContentRejected, moderated_at=ModeratedAt.OUTPUT).to_error("words")
    failed = ErrorMapping(ProviderFailed).to_error("half \ud800 " + "x" * 3000)

    assert isinstance(refused, ContentRejected)
    assert (refused.at, str(refused)) == (ModeratedAt.OUTPUT, "words")
    assert (type(failed), str(failed)[:8], len(str(failed))) == (ProviderFailed, "half ? x", 2000)
