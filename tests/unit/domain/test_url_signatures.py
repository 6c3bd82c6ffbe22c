"""The signatures in our URLs are accepted for what they were made for, and for nothing else."""

import pytest

from domain.errors import SignatureInvalid
from domain.provider import AttemptRef
from domain.url_signatures import callback_token, check_image_signature, image_signature, read_callback_token

MASTER, OTHER_MASTER = "m" * 32, "n" * 32
ATTEMPT = AttemptRef("gen_1", 2)
TOKEN = callback_token(MASTER, ATTEMPT)
SIGNATURE = image_signature(MASTER, "gen_1", 0)


@pytest.mark.parametrize("ordinal", [1, 2, 10, 999])
def test_a_token_names_its_attempt(ordinal: int) -> None:
    attempt = AttemptRef("gen_1", ordinal)

    assert read_callback_token(MASTER, "gen_1", callback_token(MASTER, attempt)) == attempt


def test_a_token_is_refused_for_another_generation() -> None:
    for other in ("gen_2", "gen_1 ", "GEN_1", "", "gen_1\n2"):
        with pytest.raises(SignatureInvalid):
            read_callback_token(MASTER, other, TOKEN)


def test_a_token_is_refused_for_another_attempt() -> None:
    with pytest.raises(SignatureInvalid):
        read_callback_token(MASTER, "gen_1", "1" + TOKEN[1:])


def test_a_token_of_another_master_key_is_refused() -> None:
    with pytest.raises(SignatureInvalid):
        read_callback_token(OTHER_MASTER, "gen_1", TOKEN)


@pytest.mark.parametrize("place", range(len(TOKEN)))
def test_a_token_with_one_character_changed_is_refused(place: int) -> None:
    changed = "1" if TOKEN[place] != "1" else "3"
    with pytest.raises(SignatureInvalid):
        read_callback_token(MASTER, "gen_1", TOKEN[:place] + changed + TOKEN[place + 1 :])


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "2.",
        "2",
        TOKEN[2:],
        TOKEN.upper(),
        TOKEN + "0",
        TOKEN[:-1],
        TOKEN + "\n",
        " " + TOKEN,
        "0" + TOKEN,
        "+" + TOKEN,
        "1000" + TOKEN[1:],
        "\u0662" + TOKEN[1:],
        TOKEN[:2] + "\uff10" * 64,
        TOKEN[:2] + "\ud800" * 64,
        "9" * 100_000,
        "2." + "0" * 64,
        TOKEN[:2] + image_signature(MASTER, "gen_1", 2) * 2,
    ],
    ids=range(19),
)
def test_garbage_is_refused_and_raises_nothing_else(token: str) -> None:
    with pytest.raises(SignatureInvalid):
        read_callback_token(MASTER, "gen_1", token)


def test_an_image_signature_is_accepted_for_its_image() -> None:
    check_image_signature(MASTER, "gen_1", 0, SIGNATURE)


@pytest.mark.parametrize(
    ("master", "generation_id", "index", "signature"),
    [
        (OTHER_MASTER, "gen_1", 0, SIGNATURE),
        (MASTER, "gen_2", 0, SIGNATURE),
        (MASTER, "gen_1", 1, SIGNATURE),
        (MASTER, "gen_1", 0, SIGNATURE[:-1]),
        (MASTER, "gen_1", 0, SIGNATURE + "0"),
        (MASTER, "gen_1", 0, SIGNATURE.upper()),
        (MASTER, "gen_1", 0, ""),
        (MASTER, "gen_1", 0, "\ud800"),
        (MASTER, "gen_1", 0, "\u00e9" * 32),
        (MASTER, "gen_1", 2, TOKEN[2:34]),
    ],
)
def test_an_image_signature_is_refused_for_anything_else(
    master: str, generation_id: str, index: int, signature: str
) -> None:
    with pytest.raises(SignatureInvalid):
        check_image_signature(master, generation_id, index, signature)
