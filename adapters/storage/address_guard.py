"""Which addresses a download may connect to, decided when it connects.

The name is resolved once, every answer is checked, and the connection goes to a checked address, so no
second look-up can return another address. TLS still verifies the name. Of several addresses some may be dead,
or of a family that this machine has no way to: they are tried one after the other, without waiting for long.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import zip_longest

from adapters.resolver import Resolver
from adapters.transport.errors import NotConnected
from adapters.transport.guard import C, Connect
from adapters.transport.http import GuardedPool, Timeouts, Url
from domain.errors import ResultUnusable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_LOOKUPS, _LOOKUP_SECONDS = 64, 5.0
_MAX_ADDRESSES = 6
_NEXT_ADDRESS_SECONDS = 0.25
_MAX_CONNECTIONS = 50
_TIMEOUTS = Timeouts(connect_seconds=5, read_seconds=20, write_seconds=20, pool_seconds=20)

# All that is given out for IPv6 today.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# How a network without IPv4 reaches it; the last 32 bits are the IPv4 address (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Over what `ipaddress` calls global but should not be reached for a stranger's address: multicast,
# translations of IPv4 addresses, ranges that Python 3.11 still counts as public, and the public address
# by which Azure serves its machines their own secrets.
_REFUSED = [
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "100.64.0.0/10", "168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4",
        "240.0.0.0/4", "2001::/32", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
]  # fmt: skip


def is_public(address: Address) -> bool:
    """Return whether an untrusted address may be connected to."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, ipaddress.IPv6Address) and address in _NAT64:
        address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    if any(address.version == network.version and address in network for network in _REFUSED):
        return False
    return address.is_global


def is_allowed(url: Url, hosts: Sequence[str]) -> bool:
    """Return whether a list of hosts admits the URL.

    hosts: `name` or `*.name`, which stand for https on port 443; or a whole origin such as
    `http://127.0.0.1:4100`, by which an operator vouches for a private address.
    """
    if url.userinfo or not url.raw_host:
        return False
    if any(origin(url) == origin(Url(host)) for host in hosts if "://" in host):
        return True
    is_plain_https = url.scheme == "https" and url.port in (None, 443)
    name = _host(url).rstrip(".")
    return is_plain_https and any("://" not in host and fnmatchcase(name, host) for host in hosts)


def origin(url: Url) -> str:
    """Return `scheme://host:port`, without the scheme's default port, as in every parsed URL."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _host(url: Url) -> str:
    # `url.host` decodes international names, and raises where one is broken.
    return url.raw_host.decode("ascii")


class AddressGuard:
    """Connects only to public addresses, or to the host and port pairs an operator vouched for.

    max_lookups_each: Of the names of one tenant, or at one host where no tenant chose it; all together have a
        limit, too. resolve: By default in threads of its own.
    """

    def __init__(
        self,
        trusted: Iterable[str],
        resolve: Callable[[str, int], Coroutine[None, None, list[Address]]] | None = None,
        *,
        max_lookups_each: int = 4,
    ) -> None:
        urls = [Url(entry) for entry in trusted if "://" in entry]
        self._trusted = {(_host(url), url.port or (443 if url.scheme == "https" else 80)) for url in urls}
        self._resolve = resolve or _resolve_with(
            Resolver(max_lookups=_MAX_LOOKUPS, max_share=max_lookups_each, timeout_seconds=_LOOKUP_SECONDS)
        )

    async def connect(self, host: str, port: int, connect: Connect[C]) -> C:
        addresses = await self._resolve(host, port)
        if (host, port) not in self._trusted and not all(is_public(address) for address in addresses):
            raise ResultUnusable(f"{host} is not a public address")
        return await connect_first(interleaved(addresses), connect)


def guarded_pool(
    hosts: Iterable[str], tls: ssl.SSLContext | None = None, *, max_lookups_each: int = 4
) -> GuardedPool:
    """Open a pool that is shared with no trusted traffic and never uses a proxy.

    max_lookups_each: As in AddressGuard.
    """
    guard = AddressGuard(hosts, max_lookups_each=max_lookups_each)
    return GuardedPool(guard, tls, _TIMEOUTS, max_connections=_MAX_CONNECTIONS)


def interleaved(addresses: Sequence[Address]) -> list[Address]:
    """Return a few of the addresses, the families in turn, the first one's first (RFC 8305, section 4)."""
    unique = list(dict.fromkeys(addresses))
    first = [address for address in unique if address.version == unique[0].version]
    second = [address for address in unique if address.version != unique[0].version]
    mixed = [address for pair in zip_longest(first, second) for address in pair if address is not None]
    return mixed[:_MAX_ADDRESSES]


async def connect_first(addresses: Sequence[Address], connect: Connect[C]) -> C:
    """Return the first connection that is made; the others are closed. Raises what the last one failed with.

    The next address is tried when one fails, or has not succeeded after a quarter of a second.
    """
    waiting, tasks = list(addresses), set[asyncio.Task[C]]()
    error: BaseException = NotConnected("no address")
    try:
        while waiting or tasks:
            if waiting:
                tasks.add(asyncio.create_task(connect(str(waiting.pop(0)))))
            delay = _NEXT_ADDRESS_SECONDS if waiting else None
            done, _ = await asyncio.wait(tasks, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                tasks.remove(task)
                failed_with = task.exception()
                if failed_with is None:
                    return task.result()
                error = failed_with
    finally:
        await _discard(tasks)
    raise error


async def _discard(tasks: Iterable[asyncio.Task[C]]) -> None:
    for task in tasks:
        task.cancel()
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(found, BaseException):
            await found.aclose()


def _resolve_with(resolver: Resolver) -> Callable[[str, int], Coroutine[None, None, list[Address]]]:
    async def resolve(host: str, port: int) -> list[Address]:
        try:
            found = await resolver.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NotConnected("the name does not resolve") from error
        return [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]

    return resolve
