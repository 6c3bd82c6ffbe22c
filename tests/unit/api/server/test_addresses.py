"""Which addresses are one client, and which peers are believed."""

import pytest

from api.server.addresses import TrustedProxies, client_group


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_client_is_an_address_or_a_network_that_one_customer_gets(address: str, group: str) -> None:
    assert client_group(address) == group


@pytest.mark.parametrize(
    ("proxies", "address", "is_trusted"),
    [
        ((), "127.0.0.1", False),
        (("10.0.0.0/8",), "10.255.0.1", True),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("2001:db8::/32",), "2001:db8::7", True),
        (("2001:db8::/32",), "10.0.0.1", False),
        (("10.0.0.1",), "", False),
        (("0.0.0.0/0", "::/0"), "unknown", False),
    ],
)
def test_only_named_addresses_and_networks_are_trusted(
    proxies: tuple[str, ...], address: str, is_trusted: bool
) -> None:
    assert TrustedProxies(proxies).trusts(address) is is_trusted


def test_a_long_list_of_hops_is_read_from_its_end() -> None:
    header = ", ".join(["10.0.0.1"] * 100_000)
    proxies = TrustedProxies(("10.0.0.0/8",))

    assert proxies.client_address("10.0.0.2", [(b"x-forwarded-for", header.encode())]) == "10.0.0.1"


@pytest.mark.parametrize("wrong", ["a-host", "10.0.0.0/99", ""])
def test_what_is_no_network_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"network|address"):
        TrustedProxies((wrong,))
