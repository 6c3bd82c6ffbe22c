"""A repeat is known by its fingerprint, and nothing can be guessed from it."""

from domain.fingerprints import fingerprint, is_plain, is_same_request
from domain.keyring import Keyring
from domain.request_digest import digest

RING = Keyring.of("the first master key of these tests")
NEXT = Keyring.of("the next master key of these tests", ["the first master key of these tests"])
RETIRED = Keyring.of("the next master key of these tests")
ONE, OTHER = digest(["a model", {"prompt": "one"}]), digest(["a model", {"prompt": "other"}])


def test_a_request_is_told_from_another() -> None:
    stored = fingerprint(RING, ONE)
    assert is_same_request(RING, stored, ONE)
    assert not is_same_request(RING, stored, OTHER)


def test_the_hash_of_the_request_is_not_in_what_is_stored() -> None:
    stored = fingerprint(RING, ONE)
    assert ONE not in stored
    assert stored != fingerprint(NEXT, ONE)
    assert not is_plain(stored)


def test_a_repeat_is_known_while_master_keys_change() -> None:
    stored = fingerprint(RING, ONE)
    assert is_same_request(NEXT, stored, ONE)
    assert not is_same_request(NEXT, stored, OTHER)
    # Once the key is retired only the Idempotency-Key tells, and no second job is charged.
    assert is_same_request(RETIRED, stored, OTHER)


def test_bare_hashes_of_versions_before_compare() -> None:
    assert is_plain(ONE)
    assert is_same_request(RING, ONE, ONE)
    assert not is_same_request(RING, ONE, OTHER)


def test_an_erased_tenants_request_has_none() -> None:
    assert not is_plain("")
    assert not is_plain(fingerprint(RING, ""))


def test_the_order_of_fields_means_nothing() -> None:
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": 1, "b": [2, 3]}) != digest({"a": 1, "b": [3, 2]})
