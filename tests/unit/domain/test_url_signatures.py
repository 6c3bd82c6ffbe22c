"""The signatures in our URLs are accepted for what they were made for, and for nothing else."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.errors import LinkExpired, SignatureInvalid
from domain.keyring import Keyring, MasterKey
from domain.provider import AttemptRef
from domain.url_signatures import (
    accepted_callback_tokens,
    callback_token,
    check_image_signature,
    image_link_expiry,
    image_signature,
    read_callback_token,
)

MASTER, OTHER_MASTER = Keyring.of("m" * 32), Keyring.of("n" * 32)
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
EXPIRES_AT = int(NOW.timestamp()) + 60
ATTEMPT = AttemptRef("gen_1", 2)
TOKEN = callback_token(MASTER.current, ATTEMPT)
SIGNATURE = image_signature(MASTER, "gen_1", 0, EXPIRES_AT)


@pytest.mark.parametrize("ordinal", [1, 2, 10, 999])
def test_a_token_names_its_attempt(ordinal: int) -> None:
    attempt = AttemptRef("gen_1", ordinal)

    assert read_callback_token(MASTER, "gen_1", callback_token(MASTER.current, attempt)) == attempt


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
        TOKEN[:2] + "0" * 64,
    ],
    ids=range(19),
)
def test_garbage_is_refused_and_raises_nothing_else(token: str) -> None:
    with pytest.raises(SignatureInvalid):
        read_callback_token(MASTER, "gen_1", token)


def test_an_image_signature_is_accepted_for_its_image() -> None:
    check_image_signature(MASTER, "gen_1", 0, SIGNATURE, NOW)


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
        (MASTER, "gen_1", 0, SIGNATURE.partition(".")[2]),
        (MASTER, "gen_1", 0, SIGNATURE.replace(f".{EXPIRES_AT}.", f".{EXPIRES_AT + 1}.")),
        (MASTER, "gen_1", 0, SIGNATURE.replace(MASTER.current.id, OTHER_MASTER.current.id)),
        (MASTER, "gen_1", 0, SIGNATURE[-32:]),
    ],
)
def test_an_image_signature_is_refused_for_anything_else(
    master: Keyring, generation_id: str, index: int, signature: str
) -> None:
    with pytest.raises(SignatureInvalid):
        check_image_signature(master, generation_id, index, signature, NOW)


def test_an_image_link_ends() -> None:
    last = datetime.fromtimestamp(EXPIRES_AT, UTC) - timedelta(seconds=1)
    check_image_signature(MASTER, "gen_1", 0, SIGNATURE, last)
    for late in (timedelta(seconds=1), timedelta(days=4000)):
        with pytest.raises(LinkExpired):
            check_image_signature(MASTER, "gen_1", 0, SIGNATURE, last + late)


@pytest.mark.parametrize("hour", [0, 1, 12, 23])
def test_the_links_of_a_day_end_together_and_not_early(hour: int) -> None:
    now = NOW.replace(hour=hour, minute=1)
    expires_at = image_link_expiry(now, timedelta(days=7))
    assert datetime.fromtimestamp(expires_at, UTC) == datetime(2026, 12, 4, tzinfo=UTC)
    assert timedelta(days=7) <= datetime.fromtimestamp(expires_at, UTC) - now < timedelta(days=8)
    assert image_link_expiry(NOW.replace(hour=0), timedelta(days=7)) == expires_at - 86_400


def test_what_another_key_signed_is_accepted_while_it_is_in_the_ring() -> None:
    """First the new key is accepted, then it signs, then the old one leaves."""
    before, after = MASTER, OTHER_MASTER
    old, new = before.current.secret, after.current.secret
    for ring, accepted in (
        (Keyring.of(old), {old}),
        (Keyring.of(old, [new]), {old, new}),
        (Keyring.of(new, [old]), {old, new}),
        (Keyring.of(new), {new}),
    ):
        for secret in (old, new):
            key = MasterKey(secret)
            token = callback_token(key, ATTEMPT)
            signature = image_signature(Keyring(key), "gen_1", 0, EXPIRES_AT)
            if secret in accepted:
                assert read_callback_token(ring, "gen_1", token) == ATTEMPT
                check_image_signature(ring, "gen_1", 0, signature, NOW)
                assert token in accepted_callback_tokens(ring, ATTEMPT)
            else:
                with pytest.raises(SignatureInvalid):
                    read_callback_token(ring, "gen_1", token)
                with pytest.raises(SignatureInvalid):
                    check_image_signature(ring, "gen_1", 0, signature, NOW)


def test_a_token_from_before_keys_had_ids_is_accepted() -> None:
    message = hmac.new(b"m" * 32, b"callback\ngen_1\n2", hashlib.sha256).hexdigest()
    assert read_callback_token(MASTER, "gen_1", f"2.{message}") == ATTEMPT
    assert callback_token(MASTER.current, ATTEMPT) == accepted_callback_tokens(MASTER, ATTEMPT)[0]


def test_each_purpose_has_a_key_of_its_own_and_ids_reveal_nothing() -> None:
    key = MasterKey("m" * 32)
    derived = {key.derive(purpose) for purpose in ("callback", "image link", "bfl webhook", "key id")}
    assert len(derived) == 4
    assert key.id == MasterKey("m" * 32).id != MasterKey("n" * 32).id
    assert "m" * 8 not in repr(MASTER)
    # RFC 5869 with SHA-256, salt "darkroom", info "callback", 32 bytes.
    assert key.derive("callback") == HKDF(SHA256(), 32, b"darkroom", b"callback").derive(b"m" * 32)
