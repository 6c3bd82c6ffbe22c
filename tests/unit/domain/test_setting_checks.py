"""Which secrets look random, and which hosts are whose."""

import secrets
import string

import pytest

from domain.setting_checks import is_internal, is_loopback, public_address_problem, weakness

LETTERS = string.ascii_letters + string.digits


@pytest.mark.parametrize("_", range(50))
def test_random_secrets_pass(_: int) -> None:
    for secret in (secrets.token_hex(32), secrets.token_urlsafe(32), secrets.token_urlsafe(24)):
        assert weakness(secret, min_bits=96) is None
    assert weakness("".join(secrets.choice(LETTERS) for _ in range(20)), min_bits=44) is None
    assert weakness("".join(secrets.choice(LETTERS) for _ in range(16)), min_bits=32) is None


@pytest.mark.parametrize(
    "secret",
    [
        "a" * 64,
        "ab" * 32,
        "0123456789abcdef" * 2,
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "fedcba9876543210fedcba9876543210",
        "00000000-0000-0000-0000-000000000001",
        "change-me-change-me-change-me-42!",
        "CHANGE_ME " + "8f1c6ad0b35e972481fa0d6c5b3e9a72",
        "my-super-Secret-master-key-91827364",
        "a master key that only these tests use",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "",
    ],
)
def test_weak_secrets_do_not_and_are_not_repeated(secret: str) -> None:
    found = weakness(secret, min_bits=96)

    assert found is not None
    assert not secret or secret not in found


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.8.0.1", "[::1]"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)
    assert is_internal(host)


@pytest.mark.parametrize(
    "host",
    [
        "minio", "10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "fd00::1",
        "db.internal", "db.default.svc", "nas.local", "127.1", "db.prod.internal.",
    ],
)  # fmt: skip
def test_internal(host: str) -> None:
    assert is_internal(host)
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["db.example.com", "1.1.1.1", "2606:4700::1111", "localhost.example.com"])
def test_neither(host: str) -> None:
    assert not is_internal(host)
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "url", ["https://api.example.com", "https://darkroom.corp.internal", "https://10.0.0.1"]
)
def test_an_https_address_is_fine_also_in_a_private_network(url: str) -> None:
    assert public_address_problem("PUBLIC_URL", url) is None


@pytest.mark.parametrize("url", ["http://api.example.com", "https://localhost:8000", "http://127.0.0.1:8000"])
def test_http_and_this_machine_are_not(url: str) -> None:
    problem = public_address_problem("PUBLIC_URL", url)

    assert problem is not None
    assert (problem.setting, problem.always, problem.can_be_accepted) == ("PUBLIC_URL", False, True)
