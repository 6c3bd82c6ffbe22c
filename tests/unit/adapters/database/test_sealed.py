"""What is sealed is opened by its owner's id and an accepted master key, and by nothing else."""

import pytest

from adapters.database.sealed import Sealer
from domain.errors import SecretUnreadable
from domain.keyring import Keyring

OLD, NEW = "o" * 32, "n" * 32
SECRET = bytes(range(32))


def test_a_secret_is_opened_under_every_accepted_master_key() -> None:
    sealed = Sealer(Keyring.of(OLD)).seal(SECRET, "whe_1")
    sealer = Sealer(Keyring.of(NEW, [OLD]))
    assert sealer.open(sealed, "whe_1") == SECRET
    again = sealer.seal(SECRET, "whe_1")
    assert again.startswith(f"{sealer.key_id}.")
    assert Sealer(Keyring.of(NEW)).open(again, "whe_1") == SECRET


def test_no_two_seals_are_alike() -> None:
    sealer = Sealer(Keyring.of(NEW))
    assert sealer.seal(SECRET, "whe_1") != sealer.seal(SECRET, "whe_1")


def test_it_is_not_opened_for_another_owner_nor_changed_nor_without_its_key() -> None:
    sealer = Sealer(Keyring.of(NEW))
    sealed = sealer.seal(SECRET, "whe_1")
    other = "A" if sealed[20] != "A" else "B"
    wrong = [
        (sealer, sealed, "whe_2"),
        (sealer, sealed[:20] + other + sealed[21:], "whe_1"),
        (sealer, sealed[:-8], "whe_1"),
        (sealer, f"{sealer.key_id}.no base64", "whe_1"),
        (sealer, "", "whe_1"),
        (Sealer(Keyring.of(OLD)), sealed, "whe_1"),
    ]
    for opener, text, owner in wrong:
        with pytest.raises(SecretUnreadable):
            opener.open(text, owner)
