"""What a provider's error is to us. Every adapter keeps one table of these, and looks its errors up in it."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.providers.answers import storable
from domain.errors import ContentRejected, ServiceError
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, ProviderResult


@dataclass(frozen=True)
class Meaning:
    """What one error of a provider's is to us.

    Attributes:
        error: The class it is raised as, or whose code a failed job gets.
        does_not_charge: Whether the provider says that it does not charge for it. Only then may the request
            go to another provider, so what is not said counts as charged.
        at: For content that was refused, whether it was the request or the image.
    """

    error: type[ServiceError]
    does_not_charge: bool = True
    at: ModeratedAt | None = None

    def raised(self, words: str) -> ServiceError:
        """The error to raise."""
        if issubclass(self.error, ContentRejected):
            return self.error(storable(words), at=self.at or ModeratedAt.INPUT)
        return self.error(storable(words))

    def failed(self, words: str) -> ProviderResult:
        """The result of a job that ended like this."""
        return ProviderResult(
            JobStatus.FAILED,
            code=self.error.code,
            moderated_at=self.at,
            does_not_charge=self.does_not_charge,
            provider_message=storable(words),
        )


Meanings = Mapping[str, Meaning]
