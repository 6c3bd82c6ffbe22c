"""The parts of a job that tell where it went, and what is in doubt."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import timedelta

from api.http.schemas.jobs import RouteView, SubmitUnknownView
from domain.catalog import Catalog
from domain.generation import Generation, Stage
from domain.routing import SubmitDecision, considered_providers, current_ordinal


@dataclass(frozen=True)
class SubmitDecisions:
    """What can tell whether a provider has a job whose submit got no clear response.

    calling_back, listing_jobs: names of providers that report by a webhook, or whose jobs can be looked up.
    """

    catalog: Catalog = field(default_factory=lambda: Catalog({}, {}))
    calling_back: Collection[str] = ()
    listing_jobs: Collection[str] = ()

    def serialize(self, generation: Generation) -> SubmitUnknownView | None:
        """Return what is in doubt; None for a generation at any other stage."""
        since = generation.moved_at
        if generation.stage is not Stage.SUBMIT_UNKNOWN or since is None:
            return None
        request = generation.request
        if current_ordinal(generation) > 1 and request.fallback is not None:
            request = request.fallback
        decided_by = [SubmitDecision.DEADLINE]
        # It is looked up by the address of the callback.
        if request.provider in self.calling_back and request.provider in self.listing_jobs:
            decided_by.insert(0, SubmitDecision.LOOK_UP)
        if request.provider in self.calling_back:
            decided_by.insert(0, SubmitDecision.PROVIDER_WEBHOOK)
        released_at = since + timedelta(seconds=self.catalog.timing_of(request.model).deadline_seconds)
        cancel_at = generation.request.controls.cancel_at(generation.created_at)
        if cancel_at is not None:
            released_at = min(released_at, max(since, cancel_at))
        return SubmitUnknownView(since=since, decided_by=decided_by, released_at=released_at)


def serialize_routing(generation: Generation) -> list[RouteView] | None:
    """Return the providers that were considered; None for a generation that was read without its attempts."""
    if generation.attempts is None:
        return None
    return [RouteView(**asdict(considered)) for considered in considered_providers(generation)]
