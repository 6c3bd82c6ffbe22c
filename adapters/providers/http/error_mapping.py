"""How a provider's errors are mapped to ours: each adapter has one table of mappings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from adapters.providers.http.responses import storable
from domain.errors import ContentRejected, PermanentError, ServiceError
from domain.moderation import ModeratedAt
from domain.provider import JobStatus, ProviderResult


@dataclass(frozen=True)
class ErrorMapping:
    """What one error of a provider becomes.

    Attributes:
        error: The class that is raised, or whose code a failed job gets.
        does_not_charge: Whether the provider says that it does not charge for it, or took nothing. Only then
            may the request go to another provider, so an error whose charge is not stated counts as charged.
        moderated_at: For rejected content, whether it was the request or the image.
    """

    error: type[ServiceError]
    does_not_charge: bool = True
    moderated_at: ModeratedAt | None = None

    def to_error(self, message: str) -> ServiceError:
        """Return the error to raise."""
        if issubclass(self.error, ContentRejected):
            error: ServiceError = self.error(storable(message), at=self.moderated_at or ModeratedAt.INPUT)
        else:
            error = self.error(storable(message))
        if isinstance(error, PermanentError):
            error.may_be_charged = not self.does_not_charge
        return error

    def to_tentative_result(self, message: str) -> ProviderResult:
        """Return the same for what the provider may not mean: it is asked again for a while."""
        return replace(self.to_result(message), is_tentative=True)

    def to_result(self, message: str) -> ProviderResult:
        """Return the result of a job that ended with this error."""
        return ProviderResult(
            JobStatus.FAILED,
            code=self.error.code,
            moderated_at=self.moderated_at,
            does_not_charge=self.does_not_charge,
            provider_message=storable(message),
        )


ErrorTable = Mapping[str, ErrorMapping]
