"""Replicate's webhooks: the prediction itself, signed by Standard Webhooks with the account's secret.

Reference: replicate/replicate-python `webhook.py` and Replicate's pages `topics/webhooks` (read
2026-08-21). Unconfirmed there: how often and how long Replicate repeats a webhook.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from adapters.providers import replicate
from adapters.providers.answers import event_object, is_token
from adapters.providers.standard_webhooks import StandardWebhooks
from domain.errors import SignatureInvalid
from domain.provider import AttemptRef, JobStatus, ProviderEvent, ProviderResult


class ReplicateWebhookReader:
    """Believes a webhook only if it is signed and fresh. secrets: old and new ones while one is changed."""

    def __init__(self, secrets: Iterable[str], *, now: Callable[[], float] = time.time) -> None:
        self._signatures = StandardWebhooks(secrets)
        self._now = now

    async def read_event(self, headers: Mapping[str, str], body: bytes, attempt: AttemptRef) -> ProviderEvent:
        message_id = self._signatures.verify(headers, body, self._now())
        prediction = event_object(body)
        job_id = prediction.get("id")
        if not isinstance(job_id, str) or not is_token(job_id):
            raise SignatureInvalid
        result = replicate.result_of(prediction, None)
        if result.status is JobStatus.RUNNING:
            # Only ends were asked for; one that came out of order must not look like news.
            result = ProviderResult(JobStatus.CHECK)
        return ProviderEvent(message_id, job_id, result)
