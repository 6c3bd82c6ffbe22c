"""Settings as people paste them."""

import pytest

from adapters.database.dsn import checked_dsn
from adapters.providers.openai.settings import OpenAiSettings
from domain.pasted import api_key, host_and_port, http_address, unpasted


@pytest.mark.parametrize(
    "pasted", ["key", " key", "key\n", "key\r\n", "\ufeffkey", "'key'", '"key"\n', "\tkey\u200b", "key\xa0"]
)
def test_what_surrounds_a_value_by_accident_is_dropped(pasted: str) -> None:
    assert unpasted(pasted) == "key"


@pytest.mark.parametrize("kept", ["a b", "'", "it's", 5, None, ""])
def test_anything_else_is_kept(kept: object) -> None:
    assert unpasted(kept) == kept


def test_a_key_from_a_file_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1\n")
    key = OpenAiSettings().api_key
    assert key is not None
    assert key.get_secret_value() == "sk-1"


@pytest.mark.parametrize(
    "pasted", ["sk-1", "Bearer sk-1", "bearer  sk-1", "Key sk-1", "Token sk-1", "Authorization: Bearer sk-1"]
)
def test_the_word_before_a_key_is_dropped(pasted: str) -> None:
    assert api_key(pasted) == "sk-1"


@pytest.mark.parametrize("key", ["key", "Bearer", "keykey", "token-1"])
def test_a_key_may_look_like_such_a_word(key: str) -> None:
    assert api_key(key) == key


@pytest.mark.parametrize("pasted", ["https://api.test/v1", "https://api.test/v1/", "https://api.test/v1//"])
def test_an_address_has_no_slash_at_its_end(pasted: str) -> None:
    assert http_address(pasted) == "https://api.test/v1"


@pytest.mark.parametrize(
    "broken",
    ["", "api.test", "api.test:443/v1", "ftp://api.test", "https://", "https://a.test/?x=1", "http:a"],
)
def test_what_is_no_address_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match="an address"):
        http_address(broken)


@pytest.mark.parametrize(
    "pasted", ["a.test:7233", "http://a.test:7233", "https://a.test:7233/", "grpc://a.test:7233"]
)
def test_temporals_address_has_no_scheme(pasted: str) -> None:
    assert host_and_port(pasted) == "a.test:7233"


@pytest.mark.parametrize("broken", ["", "a.test", "https://a.test", "a.test:port", ":7233"])
def test_temporals_address_has_a_port(broken: str) -> None:
    with pytest.raises(ValueError, match=r"host:port|[Pp]ort"):
        host_and_port(broken)


def test_the_systems_own_certificates_verify_the_database() -> None:
    """Read what hosted databases tell to paste: `system` is the name of no file."""
    url = checked_dsn("postgresql://u:p@db.test/x?sslmode=require&sslrootcert=system")
    assert "sslmode=verify-full" in url
    assert "system" not in url


@pytest.mark.parametrize("broken", ["sk\n1", "sk-ü", "sk\x7f", "sk 1"])
def test_a_key_that_no_header_can_carry_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", broken)
    with pytest.raises(ValueError, match="the key has a blank") as raised:
        OpenAiSettings()
    assert broken not in str(raised.value)
