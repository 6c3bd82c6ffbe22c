"""One attempt of a delivery: built from the rows as they are now, signed, sent, recorded."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from temporalio import activity

from activities.endpoint_turns import EndpointTurns
from activities.metrics import count_delivery_attempt
from domain.errors import GenerationNotFound
from domain.generation import Generation
from domain.ports import Generations
from domain.ports.webhooks import AttemptRecord, Deliveries, WebhookSender
from domain.webhooks import (
    Delivery,
    DeliveryError,
    DeliveryStatus,
    DeliveryToSend,
    SendReport,
    SendRequest,
    WebhookResponse,
    signed_headers,
)

BodyBuilder = Callable[[Delivery, Generation | None], bytes]
# With these a receiver says that it is asked for too much.
_THROTTLED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT)


@dataclass(frozen=True)
class DeliveryPolicy:
    """What follows from failures.

    Attributes:
        disable_after: An endpoint that does nothing but fail for so long is disabled.
        slow_down_seconds: How long a receiver rests that responds 429, 502 or 504, unless it says so itself.
        max_retry_after_seconds: The longest that a receiver may ask for.
    """

    disable_after: timedelta = timedelta(days=5)
    slow_down_seconds: float = 30.0
    max_retry_after_seconds: float = 86_400.0


class DeliveryActivities:
    """Sends webhooks. A receiver may get the same one more than once, always with the same id."""

    def __init__(
        self,
        deliveries: Deliveries,
        generations: Generations,
        sender: WebhookSender,
        build_body: BodyBuilder,
        policy: DeliveryPolicy,
    ) -> None:
        self._deliveries = deliveries
        self._generations = generations
        self._sender = sender
        self._build_body = build_body
        self._policy = policy
        self.turns = EndpointTurns()

    @activity.defn
    async def send_webhook(self, request: SendRequest) -> SendReport:
        """Make one attempt, unless it is recorded already, and return how the delivery stands after it."""
        found = await self._deliveries.load_delivery(request.delivery_id)
        if found is None:
            return SendReport(DeliveryStatus.CANCELED)
        delivery = found.delivery
        if delivery.status is not DeliveryStatus.PENDING or delivery.attempts >= request.number:
            return SendReport(delivery.status, request.next_wait_seconds or 0.0)
        if not found.is_endpoint_open:
            await self._deliveries.cancel_delivery(delivery.id)
            return SendReport(DeliveryStatus.CANCELED)
        receiver = _receiver_of(found)
        with self.turns.turn(delivery.tenant_id, receiver) as is_mine:
            if not is_mine:
                return SendReport(DeliveryStatus.PENDING, is_busy=True)
            response = await self._send(found)
        count_delivery_attempt(response.error_code or DeliveryStatus.SUCCEEDED)
        wait_seconds = self._wait_seconds(request, response)
        if response.status in _THROTTLED:
            rest_seconds = self._asked_seconds(response) or self._policy.slow_down_seconds
            self.turns.rest(delivery.tenant_id, receiver, rest_seconds)
        return await self._record(request, response, wait_seconds)

    async def _send(self, found: DeliveryToSend) -> WebhookResponse:
        delivery = found.delivery
        body = self._build_body(delivery, await self._generation_of(delivery))
        headers = signed_headers(found.secrets, delivery.id, int(time.time()), body)
        return await self._sender.send_webhook(found.url, headers, body, tenant_id=delivery.tenant_id)

    async def _generation_of(self, delivery: Delivery) -> Generation | None:
        if delivery.generation_id is None:
            return None
        try:
            return await self._generations.get_generation_of(delivery.tenant_id, delivery.generation_id)
        except GenerationNotFound:
            return None

    async def _record(
        self, request: SendRequest, response: WebhookResponse, wait_seconds: float | None
    ) -> SendReport:
        status = _status_after(response, is_last=wait_seconds is None)
        attempt = AttemptRecord(request.delivery_id, request.number, status, response, wait_seconds)
        now = await self._deliveries.record_attempt(attempt, self._policy.disable_after)
        return SendReport(
            now, wait_seconds or 0.0, response_status=response.status, error_code=response.error_code
        )

    def _wait_seconds(self, request: SendRequest, response: WebhookResponse) -> float | None:
        """Return until the next attempt: never sooner than the receiver asks for, within bounds."""
        if request.next_wait_seconds is None:
            return None
        asked = self._asked_seconds(response) or 0.0
        if response.status in _THROTTLED:
            asked = max(asked, self._policy.slow_down_seconds)
        return max(request.next_wait_seconds, asked)

    def _asked_seconds(self, response: WebhookResponse) -> float | None:
        if response.retry_after_seconds is None:
            return None
        return min(response.retry_after_seconds, self._policy.max_retry_after_seconds)


def _receiver_of(found: DeliveryToSend) -> str:
    """Return who gets it: its endpoint, or the host that a job names."""
    delivery = found.delivery
    return delivery.endpoint_id if delivery.url is None else urlsplit(delivery.url).netloc


def _status_after(response: WebhookResponse, *, is_last: bool) -> DeliveryStatus:
    if response.error_code is None:
        return DeliveryStatus.SUCCEEDED
    if response.error_code is DeliveryError.GONE:
        return DeliveryStatus.FAILED
    return DeliveryStatus.EXHAUSTED if is_last else DeliveryStatus.PENDING
