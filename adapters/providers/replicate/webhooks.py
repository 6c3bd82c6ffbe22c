"""Replicate's webhooks: the prediction itself, signed by Standard Webhooks with the account's secret.

Reference: replicate/replicate-python `webhook.py` and Replicate's pages `topics/webhooks` (read
2026-08-21). Not confirmed there: how often and for how long Replicate repeats a webhook.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from adapters.providers.http.gateways import identifier
from adapters.providers.http.responses import event_object
from adapters.providers.http.standard_webhooks import StandardWebhooks
from adapters.providers.replicate.adapter import result_of
from domain.errors import SignatureInvalid
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderResult


class ReplicateWebhookReader:
    """Accepts a webhook only if it is signed and recent. secrets: the old and the new one during a change."""

    def __init__(self, secrets: Iterable[str], *, now: Callable[[], float] = time.time) -> None:
        self._signatures = StandardWebhooks(secrets)
        self._now = now

    async def read_event(self, headers: Mapping[str, str], body: bytes, attempt: AttemptRef) -> ProviderEvent:
        message_id = self._signatures.verify(headers, body, self._now())
        prediction = event_object(body)
        job_id = identifier(prediction.get("id"))
        if job_id is None:
            raise SignatureInvalid
        result = result_of(prediction, None)
        if result.status is JobStatus.RUNNING:
            # Only the end was subscribed to; an event that arrives out of order reports nothing new.
            result = ProviderResult(JobStatus.CHECK)
        return ProviderEvent(message_id, job_id, result)
