"""Sends webhooks at their time, a limited number at once, again until they are delivered."""

import asyncio
import ssl
import time
from dataclasses import replace
from typing import Protocol

import httpx

from simulator.core.faults.kinds import Phase
from simulator.core.faults.switches import Fault, FaultSwitches, Target
from simulator.core.jobs import Job
from simulator.core.rows import Delivery
from simulator.core.store import Store

ATTEMPT_TIMEOUT_SECONDS = 15
MAX_AT_ONCE = 50
MAX_ANSWER_BYTES = 65_536
_IDLE_SECONDS = 60  # the longest sleep: a clock that jumps must not strand a webhook


class WebhookFormat(Protocol):
    """How one provider builds, schedules and signs its webhooks."""

    def schedule(self, job: Job) -> dict[str, float]:
        """Return the events that are sent for a new job, each with its time; the last is `completed`."""
        ...

    async def body(self, job: Job, event: str) -> bytes: ...
    def headers(self, job: Job, event: str, body: bytes, faults: dict[str, Fault]) -> dict[str, str]: ...


class Deliveries:
    """A loop that takes due webhooks from the store and passes them to at most fifty senders."""

    def __init__(
        self,
        store: Store,
        switches: FaultSwitches,
        webhook_format: WebhookFormat,
        retry_seconds: tuple[float, ...],
    ) -> None:
        self._store = store
        self._switches = switches
        self.format = webhook_format
        self._retry_seconds = retry_seconds
        self._changed = asyncio.Event()
        # A client for each slot, each with one connection: on every request httpx compares all connections of
        # a pool with each other, and with fifty that takes six times as long as all the rest. The last one
        # used goes first, so that few connections stay open.
        context = ssl.create_default_context()
        self._clients = [_client(context) for _ in range(MAX_AT_ONCE)]
        self._slots: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        for client in self._clients:
            self._slots.put_nowait(client)

    def wake(self) -> None:
        """Wake the loop, as a webhook may be due earlier than it expects."""
        self._changed.set()

    async def run(self) -> None:
        """Send until canceled. Unfinished deliveries are sent again after the next start."""
        try:
            async with asyncio.TaskGroup() as senders:
                while True:
                    client = await self._slots.get()
                    senders.create_task(self._send(await self._next(), client))
        finally:
            for client in self._clients:
                await client.aclose()

    async def send_now(self, job_id: str) -> None:
        """Try once to deliver a job's last webhook, before everything else."""
        delivery = self._store.take(job_id)
        if delivery is not None:
            await self._send(delivery, await self._slots.get())

    async def _next(self) -> Delivery:
        while True:
            self._changed.clear()
            delivery = self._store.take_due(time.time())
            if delivery is not None:
                return delivery
            due_at = self._store.next_due_at()
            seconds = (
                _IDLE_SECONDS if due_at is None else min(_IDLE_SECONDS, max(0.001, due_at - time.time()))
            )
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _send(self, delivery: Delivery, client: httpx.AsyncClient) -> None:
        try:
            job = self._store.job(delivery.job_id)
            if job is not None:
                await self._deliver(job, delivery, client)
        finally:
            self._slots.put_nowait(client)
            self.wake()

    async def _deliver(self, job: Job, delivery: Delivery, client: httpx.AsyncClient) -> None:
        if delivery.body is None:
            prepared = await self._prepare(job, delivery)
            if prepared is None:
                return
            delivery = prepared
        status = await self._attempt(job, delivery, client)
        with self._store.transaction():
            state, after = self._outcome(delivery, status)
            self._store.save_delivery(after, state)
            attempt = delivery.attempts + 1
            entry = {"event": delivery.event, "status": status, "attempt": attempt, "state": state}
            self._store.log("webhook_sent", job.id, job.prompt, **entry)

    async def _prepare(self, job: Job, delivery: Delivery) -> Delivery | None:
        """Build the body, once, and apply the faults. None: there is nothing to send now."""
        faults = self._switches.active_faults(Phase.WEBHOOK, Target(job.endpoint, job.prompt, job.id))
        if "drop_webhook" in faults:
            self._store.save_delivery(delivery, "dropped")
            return None
        duplicate, delay = faults.get("duplicate_webhook"), faults.get("delay_webhook")
        prepared = replace(
            delivery,
            body=await self.format.body(job, delivery.event),
            faults=tuple(faults.values()),
            copies=1 if duplicate is None else max(1, int(duplicate.number("copies"))),
            due_at=delivery.due_at if delay is None else time.time() + delay.number("seconds"),
        )
        self._store.save_delivery(prepared, "sending" if delay is None else "pending")
        return prepared if delay is None else None

    async def _attempt(self, job: Job, delivery: Delivery, client: httpx.AsyncClient) -> int | None:
        """Return the status of the response; None if there was none."""
        assert job.webhook_url is not None
        assert delivery.body is not None
        faults = {fault.name: fault for fault in delivery.faults}
        headers = self.format.headers(job, delivery.event, delivery.body, faults)
        try:
            async with (
                asyncio.timeout(ATTEMPT_TIMEOUT_SECONDS),
                client.stream("POST", job.webhook_url, content=delivery.body, headers=headers) as response,
            ):
                await _drain(response)
                return response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError):
            return None

    def _outcome(self, delivery: Delivery, status: int | None) -> tuple[str, Delivery]:
        if status is not None and 200 <= status < 300:
            left = delivery.copies - 1
            after = replace(
                delivery, copies=left, attempts=0 if left else delivery.attempts + 1, due_at=time.time()
            )
            return ("pending" if left else "delivered"), after
        after = replace(delivery, attempts=delivery.attempts + 1)
        is_redirect = status is not None and 300 <= status < 400
        if is_redirect or delivery.attempts >= len(self._retry_seconds):
            return "failed", after
        return "pending", replace(after, due_at=time.time() + self._retry_seconds[delivery.attempts])


def _client(context: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        timeout=ATTEMPT_TIMEOUT_SECONDS,
        verify=context,
        trust_env=False,
        follow_redirects=False,
    )


async def _drain(response: httpx.Response) -> None:
    """Read a short response, so that the connection can be reused."""
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            return
