"""Which addresses of webhooks are refused before anything is sent."""

import pytest

from domain.errors import InvalidInput
from domain.webhook_urls import check_webhook_url

ORIGINS = ("http://127.0.0.1:9000", "https://hooks.internal")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hooks?token=abc",
        "https://example.com:8443/",
        "HTTPS://EXAMPLE.com/%20",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "http://127.0.0.1:9000/any/path",
        "https://hooks.internal:443/",
    ],
)
def test_these_are_taken(url: str) -> None:
    check_webhook_url(url, ORIGINS, field="url")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "printable ASCII"),
        ("https://exa mple.com/", "printable ASCII"),
        ("https://example.com/\n", "printable ASCII"),
        ("https://ex\u00e4mple.com/", "printable ASCII"),
        ("https://example.com\\@10.0.0.1/", "printable ASCII"),
        ("https://" + "a" * 2041, "at most 2048 characters"),
        ("example.com", "must begin with https://"),
        ("ftp://example.com/", "must begin with https://"),
        ("http://example.com/", "must begin with https://"),
        ("http://127.0.0.1:9001/", "must begin with https://"),
        ("http://127.0.0.1/", "must begin with https://"),
        ("https:///path", "must begin with https://"),
        ("https://user@example.com/", "must hold no user name"),
        ("https://:pass@example.com/", "must hold no user name"),
        ("http://127.0.0.1:9000@example.com/", "must hold no user name"),
        ("https://example.com/#", "must have no fragment"),
        ("https://example.com:0/", "not an address"),
        ("https://example.com:99999/", "not an address"),
        ("https://example.com:port/", "not an address"),
        ("https://[::1/", "not an address"),
        ("https://127.0.0.1/", "must be reachable from the internet"),
        ("https://10.1.2.3/", "must be reachable from the internet"),
        ("https://169.254.169.254/latest", "must be reachable from the internet"),
        ("https://[::1]/", "must be reachable from the internet"),
        ("https://[fd00:ec2::254]/", "must be reachable from the internet"),
        ("https://localhost/", "must be reachable from the internet"),
        ("https://LOCALHOST./", "must be reachable from the internet"),
        ("https://a.localhost/", "must be reachable from the internet"),
    ],
)
def test_these_are_refused_and_not_repeated(url: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_webhook_url(url, ORIGINS, field="webhook_url")
    [(field, message)] = refused.value.errors
    assert field == "webhook_url"
    assert message.startswith(problem)
    assert len(url) < 8 or url not in message
