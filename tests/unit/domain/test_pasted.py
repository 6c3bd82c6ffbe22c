"""Settings as people paste them."""

import pytest

from adapters.providers.openai.settings import OpenAiSettings
from domain.pasted import unpasted


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


@pytest.mark.parametrize("broken", ["sk\n1", "sk-ü", "sk\x7f"])
def test_a_key_that_no_header_can_carry_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", broken)
    with pytest.raises(ValueError, match="the key has a line break") as raised:
        OpenAiSettings()
    assert broken not in str(raised.value)
