"""What leaves and what comes back, at addresses that may and may not be connected to."""

import ipaddress
import ssl
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from adapters.storage.address_guard import Address, AddressGuard
from adapters.webhook_sender import GuardedWebhookSender, webhook_pool
from domain.webhooks import DeliveryError, WebhookResponse
from tests.support.tls_front import Authority
from tests.support.webhook_receiver import Respond, receiving, responding

Resolve = Callable[[str, int], Coroutine[None, None, list[Address]]]
_PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "0.0.0.0",  # noqa: S104 - an address that is refused
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fd00:ec2::254",
    "fe80::1",
]


async def _sent(
    url: str,
    *,
    origins: tuple[str, ...] = (),
    resolve: Resolve | None = None,
    tls: ssl.SSLContext | None = None,
) -> WebhookResponse:
    guard = AddressGuard(origins, resolve)
    async with webhook_pool(origins, 5, tls=tls, guard=guard) as pool:
        sender = GuardedWebhookSender(pool, origins, timeout_seconds=5)
        return await sender.send_webhook(url, {"webhook-id": "msg_1"}, b"{}", tenant_id="ten_1")


def _to(*answers: str) -> Resolve:
    """Return a resolver that gives one answer after the other."""
    waiting = list(answers)

    async def resolve(_: str, __: int) -> list[Address]:
        return [ipaddress.ip_address(waiting.pop(0))]

    return resolve


@pytest.mark.parametrize("address", _PRIVATE)
async def test_no_name_leads_to_a_private_address(address: str) -> None:
    response = await _sent("https://hooks.example/", resolve=_to(address))
    assert (response.error_code, response.status) == (DeliveryError.ADDRESS_REFUSED, None)


async def test_a_name_is_looked_up_once_so_that_it_cannot_change_in_between() -> None:
    """It answers with a public address first and with a private one then: nobody asks twice."""
    answers = ["192.0.2.1"]  # of documentation, and refused like a private one

    async def resolve(_: str, __: int) -> list[Address]:
        return [ipaddress.ip_address(answers.pop(0))]

    response = await _sent("https://hooks.example/", resolve=resolve)
    assert response.error_code is DeliveryError.ADDRESS_REFUSED
    assert answers == []


async def test_one_private_address_among_public_ones_is_refused() -> None:
    async def resolve(_: str, __: int) -> list[Address]:
        return [ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("127.0.0.1")]

    response = await _sent("https://hooks.example/", resolve=resolve)
    assert response.error_code is DeliveryError.ADDRESS_REFUSED


async def test_a_receiver_that_nobody_vouches_for_is_not_connected_to() -> None:
    async with receiving() as receiver:
        refused = await _sent(receiver.url("/"))
        taken = await _sent(receiver.url("/"), origins=(receiver.origin,))
    assert refused.error_code is DeliveryError.URL_REFUSED
    assert (taken.status, taken.error_code) == (204, None)
    assert len(receiver.received) == 1


async def test_a_certificate_that_cannot_be_verified_ends_it_before_a_byte_is_sent(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for_another = _server_tls(authority, "elsewhere.example")
    trusting = ssl.create_default_context(cafile=str(authority.ca_file))
    async with receiving(for_another) as receiver:
        wrong_name = await _sent(receiver.url("/"), origins=(receiver.origin,), tls=trusting)
        unknown = await _sent(receiver.url("/"), origins=(receiver.origin,), tls=ssl.create_default_context())
    assert wrong_name.error_code is unknown.error_code is DeliveryError.TLS
    assert receiver.received == []
    async with receiving(_server_tls(authority, "127.0.0.1")) as receiver:
        right = await _sent(receiver.url("/"), origins=(receiver.origin,), tls=trusting)
    assert right.status == 204


async def test_nobody_there_is_not_connected() -> None:
    async with receiving() as receiver:
        origin = receiver.origin
    response = await _sent(f"{origin}/", origins=(origin,))
    assert response.error_code is DeliveryError.NOT_CONNECTED


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("0", 0.0), ("-1", None), ("1.5", None), ("soon", None), ("9" * 40, None), ("", None)],
)
async def test_retry_after_is_read_as_seconds(header: str, seconds: float | None) -> None:
    response = await _answered(responding(503, f"Retry-After: {header}"))
    assert (response.retry_after_seconds, response.error_code) == (seconds, DeliveryError.STATUS)


async def test_retry_after_is_read_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    in_an_hour = (await _answered(responding(503, f"Retry-After: {later}"))).retry_after_seconds
    assert in_an_hour is not None
    assert 3000 < in_an_hour <= 3600
    assert (await _answered(responding(503, f"Retry-After: {past}"))).retry_after_seconds == 0


async def test_an_excerpt_is_short_and_printable() -> None:
    response = await _answered(responding(500, body=b"\x00\xff<b>no</b>\n" + b"z" * 5000))
    assert response.excerpt == (" \ufffd<b>no</b> " + "z" * 200)[:200]


async def _answered(respond: Respond) -> WebhookResponse:
    async with receiving() as receiver:
        return await _sent(receiver.url("/", respond), origins=(receiver.origin,))


def _server_tls(authority: Authority, name: str) -> ssl.SSLContext:
    pair = authority.pair(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    return context
