"""No socket is opened to an address that is not public, for any name at any time."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterable

import pytest

from adapters.storage.address_guard import Address, AddressGuard, is_allowed
from adapters.transport.errors import NotConnected
from adapters.transport.http import Url
from composition import ServiceSettings
from composition.providers import result_hosts
from domain.errors import ResultUnusable
from tests.support.raw_server import RawServer, always, answer, serving
from tests.support.time_limits import scaled
from tests.unit.adapters.storage.hostile_urls import PRIVATE_HOSTS, PUBLIC_HOSTS

ALLOWED = ("fal.media", "*.fal.media")


@pytest.mark.parametrize(
    "url",
    [
        "https://fal.media/a.png",
        "https://v3.fal.media/a.png",
        "https://a.b.fal.media:443/a.png?x=y",
        "https://FAL.media./a.png",
        "HTTPS://fal.media/",
    ],
)
def test_an_allowed_name_means_https_on_its_own_port(url: str) -> None:
    assert is_allowed(Url(url), ALLOWED)


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("http://127.0.0.1:4100", "http://127.0.0.1:4100/files/a.png"),
        ("http://127.0.0.1:4100/", "http://127.0.0.1:4100/files/a.png"),
        ("http://127.0.0.1:80", "http://127.0.0.1/a"),
        ("http://[::1]:4100", "http://[::1]:4100/a"),
        ("https://Store.example", "https://store.example:443/a"),
    ],
)
def test_an_operator_vouches_for_one_origin(entry: str, url: str) -> None:
    assert is_allowed(Url(url), (entry,))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:4100/a",
        "http://127.0.0.1:4101/a",
        "http://127.0.0.1/a",
        "http://127.0.0.2:4100/a",
        "http://localhost:4100/a",
        "http://user@127.0.0.1:4100/a",
        "http://127.0.0.1:4100@elsewhere.example/a",
    ],
)
def test_and_for_no_other(url: str) -> None:
    assert not is_allowed(Url(url), ("http://127.0.0.1:4100",))


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.com/a.png", True),
        ("https://example.com:443/a.png", True),
        ("https://8.8.8.8/a.png", True),
        ("https://example.com:8443/a.png", False),
        ("http://example.com/a.png", False),
        ("https://user:password@example.com/a.png", False),
        ("ftp://example.com/a.png", False),
        ("https:///a.png", False),
    ],
)
def test_any_host_is_still_only_plain_https(url: str, *, allowed: bool) -> None:
    assert is_allowed(Url(url), ("*",)) is allowed


class Resolver:
    """Answers each query with the next of its answers; the last one is repeated."""

    def __init__(self, *answers: Iterable[str]) -> None:
        self.asked: list[str] = []
        self._answers = [[ipaddress.ip_address(address) for address in answer] for answer in answers]

    async def __call__(self, host: str, _port: int) -> list[Address]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Stream:
    """A connection to the canary."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def aclose(self) -> None:
        self._writer.close()


class ConnectLog:
    """Records every connection that the guard allowed; all end at the same local server."""

    def __init__(self, canary: RawServer) -> None:
        self.connected: list[str] = []
        self._canary = canary

    async def __call__(self, address: str) -> Stream:
        self.connected.append(address)
        _, writer = await asyncio.open_connection("127.0.0.1", self._canary.port)
        return Stream(writer)


@pytest.fixture
async def canary() -> AsyncIterator[RawServer]:
    async with serving(always(answer(200, b"tweet"))) as server:
        yield server


@pytest.fixture
def log(canary: RawServer) -> ConnectLog:
    return ConnectLog(canary)


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
async def test_a_private_address_is_never_connected_to(host: str, log: ConnectLog, canary: RawServer) -> None:
    guard = AddressGuard(ALLOWED)
    for port in (80, 443, canary.port):
        with pytest.raises((ResultUnusable, NotConnected)):
            await guard.connect(host, port, log)

    assert (log.connected, canary.connections) == ([], 0)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "::1", "::ffff:10.0.0.1", "224.0.0.1", "fd00::1"]
)
async def test_a_name_with_one_private_address_among_public_ones_is_refused(
    address: str, log: ConnectLog
) -> None:
    for answers in (["1.1.1.1", address], [address, "1.1.1.1"], ["2606:4700:4700::1111", address, "1.1.1.1"]):
        with pytest.raises(ResultUnusable):
            await AddressGuard(ALLOWED, Resolver(answers)).connect("fal.media", 443, log)

    assert log.connected == []


@pytest.mark.parametrize("host", PUBLIC_HOSTS)
async def test_a_public_address_is_connected_to_as_it_was_checked(host: str, log: ConnectLog) -> None:
    resolver = Resolver([host])
    stream = await AddressGuard(ALLOWED, resolver).connect("fal.media", 443, log)
    await stream.aclose()

    assert (log.connected, resolver.asked) == ([host], ["fal.media"])


class Network(ConnectLog):
    """Answers at some addresses only; at others it refuses, or lets one wait for ever."""

    def __init__(self, canary: RawServer, *, refused: Iterable[str] = (), silent: Iterable[str] = ()) -> None:
        super().__init__(canary)
        self.tried: list[str] = []
        self._refused, self._silent = set(refused), set(silent)

    async def __call__(self, address: str) -> Stream:
        self.tried.append(address)
        if address in self._refused:
            raise NotConnected("no route to host")
        if address in self._silent:
            await asyncio.Event().wait()
        return await super().__call__(address)


SIX, FOUR = ["2606:4700:4700::1111", "2606:4700:4700::1001"], ["1.1.1.1", "1.0.0.1"]


@pytest.mark.parametrize("state", ["refused", "silent"])
@pytest.mark.parametrize("dead", [SIX, SIX[:1] + FOUR[:1], [*SIX, FOUR[0]]])
async def test_a_dead_address_is_passed_over(canary: RawServer, state: str, dead: list[str]) -> None:
    network = Network(canary, **{state: dead})
    guard = AddressGuard(ALLOWED, Resolver(SIX + FOUR))
    async with asyncio.timeout(scaled(3)):
        stream = await guard.connect("fal.media", 443, network)
    await stream.aclose()

    assert network.tried[:2] == [SIX[0], FOUR[0]]
    assert network.tried[-1] not in dead


async def test_if_no_address_answers_it_is_no_connection(canary: RawServer) -> None:
    network = Network(canary, refused=SIX + FOUR)
    with pytest.raises(NotConnected):
        await AddressGuard(ALLOWED, Resolver(SIX + FOUR)).connect("fal.media", 443, network)
    assert sorted(network.tried) == sorted(SIX + FOUR)


async def test_a_name_with_hundreds_of_addresses_is_not_tried_for_ever(canary: RawServer) -> None:
    many = [f"1.1.{high}.{low}" for high in range(2) for low in range(256)]
    network = Network(canary, refused=many)
    with pytest.raises(NotConnected):
        await AddressGuard(ALLOWED, Resolver(many)).connect("fal.media", 443, network)
    assert len(network.tried) < 10


async def test_a_name_that_rebinds_is_caught_when_it_is_connected_to_again(log: ConnectLog) -> None:
    resolver = Resolver(["1.1.1.1"], ["127.0.0.1"])
    guard = AddressGuard(ALLOWED, resolver)
    stream = await guard.connect("fal.media", 443, log)
    await stream.aclose()
    with pytest.raises(ResultUnusable):
        await guard.connect("fal.media", 443, log)

    assert (log.connected, resolver.asked) == (["1.1.1.1"], ["fal.media"] * 2)


@pytest.mark.parametrize("host", ["a" * 64 + ".fal.media", "a..fal.media", ".fal.media", "nowhere.invalid"])
async def test_a_name_that_cannot_be_resolved_is_no_connection(host: str, log: ConnectLog) -> None:
    with pytest.raises(NotConnected):
        await AddressGuard(ALLOWED).connect(host, 443, log)

    assert log.connected == []


async def test_a_vouched_origin_is_reached_at_its_own_port_only(log: ConnectLog, canary: RawServer) -> None:
    guard = AddressGuard([f"http://127.0.0.1:{canary.port}"])
    stream = await guard.connect("127.0.0.1", canary.port, log)
    await stream.aclose()
    for host, port in (("127.0.0.1", canary.port + 1), ("localhost", canary.port), ("127.1", canary.port)):
        with pytest.raises(ResultUnusable):
            await guard.connect(host, port, log)

    assert log.connected == ["127.0.0.1"]


def test_a_private_address_for_inputs_is_no_way_out_for_results() -> None:
    settings = ServiceSettings(
        master_key="a master key that only these tests use",
        database_url="postgresql://user:password@127.0.0.1/nothing",
        s3_access_key="access",
        s3_secret_key="s" * 8,
        input_hosts=("http://127.0.0.1:4100",),
        fal_result_hosts=("http://127.0.0.1:4200",),
    )
    hosts = result_hosts(settings)

    assert "http://127.0.0.1:4200" in hosts
    assert "http://127.0.0.1:4100" not in hosts
