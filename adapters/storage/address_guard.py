"""Which addresses a download may connect to, decided when it connects.

The name is resolved once, every answer is checked, and the connection goes to the checked address, so no
second look-up can return another address. TLS still verifies the name.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from fnmatch import fnmatchcase

import httpcore
import httpx

from domain.errors import ResultUnusable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# All that is given out for IPv6 today.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
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
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    if any(address.version == network.version and address in network for network in _REFUSED):
        return False
    return address.is_global


def is_allowed(url: httpx.URL, hosts: Sequence[str]) -> bool:
    """Return whether a list of hosts admits the URL.

    hosts: `name` or `*.name`, which stand for https on port 443; or a whole origin such as
    `http://127.0.0.1:4100`, by which an operator vouches for a private address.
    """
    if url.userinfo or not url.raw_host:
        return False
    if any(origin(url) == origin(httpx.URL(host)) for host in hosts if "://" in host):
        return True
    is_plain_https = url.scheme == "https" and url.port in (None, 443)
    name = _host(url).rstrip(".")
    return is_plain_https and any("://" not in host and fnmatchcase(name, host) for host in hosts)


def origin(url: httpx.URL) -> str:
    """Return `scheme://host:port`, without the scheme's default port, as in every parsed URL."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _host(url: httpx.URL) -> str:
    # `url.host` decodes international names, and raises where one is broken.
    return url.raw_host.decode("ascii")


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only to public addresses, or to the host and port pairs an operator vouched for."""

    def __init__(
        self,
        trusted: Iterable[str],
        inner: httpcore.AsyncNetworkBackend | None = None,
        resolve: Callable[[str, int], Awaitable[list[Address]]] | None = None,
    ) -> None:
        urls = [httpx.URL(entry) for entry in trusted if "://" in entry]
        self._trusted = {(_host(url), url.port or (443 if url.scheme == "https" else 80)) for url in urls}
        self._inner = inner or httpcore.AnyIOBackend()
        self._resolve = resolve or _resolve

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        if (host, port) not in self._trusted and not all(is_public(address) for address in addresses):
            raise ResultUnusable(f"{host} is not a public address")
        return await self._inner.connect_tcp(
            str(addresses[0]),
            port,
            timeout=timeout,
            local_address=local_address,
            socket_options=socket_options,
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise ResultUnusable("unix sockets are never fetched from")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def guarded_pool(hosts: Iterable[str], tls: ssl.SSLContext | None = None) -> httpcore.AsyncConnectionPool:
    """Open a pool that is shared with no trusted traffic and never uses a proxy."""
    return httpcore.AsyncConnectionPool(
        ssl_context=tls or ssl.create_default_context(),
        network_backend=GuardedBackend(hosts),
        max_connections=50,
        max_keepalive_connections=10,
        keepalive_expiry=10,
    )


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} does not resolve") from error
    return [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
