"""Whose address a request comes from, and which addresses count as one client."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_Address = IPv4Address | IPv6Address
_FORWARDED = b"x-forwarded-for"
# What a provider hands to one customer: counting single addresses of it would count nothing.
_IPV6_CLIENT_PREFIX = 64
# More proxies than anybody has in a row; the rest was written by the client.
_MAX_HOPS = 20


class TrustedProxies:
    """The peers whose X-Forwarded-For is believed: addresses and networks.

    `Forwarded` of RFC 7239 is not read: a proxy that sets one of the two headers passes the other on as the
    client wrote it. Raises ValueError for what is neither an address nor a network.
    """

    def __init__(self, proxies: Iterable[str] = ()) -> None:
        self._networks = tuple(ip_network(proxy, strict=False) for proxy in proxies)

    def trusts(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client_address(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> str:
        """Return the last address that no trusted proxy has; `peer` if the header names none.

        Read from the right, where the nearest proxy writes. What stands further left is the client's word.
        """
        client = peer
        for hop in _hops(headers):
            if not self.trusts(client):
                break
            if _parse(hop) is None:
                break
            client = hop
        return client


def client_group(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 of an IPv6 address."""
    parsed = _parse(address)
    if parsed is None:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _IPV6_CLIENT_PREFIX), strict=False))
    return str(parsed)


def _hops(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    values = [value.decode("latin-1") for name, value in headers if name == _FORWARDED]
    return [hop.strip() for hop in ",".join(values).rsplit(",", _MAX_HOPS)[::-1][:_MAX_HOPS]]


def _parse(address: str) -> _Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed
