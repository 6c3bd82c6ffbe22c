"""The steps from one master key to the next, in the settings and in a file of them."""

import stat
from pathlib import Path

import pytest

from admin.master_keys import next_values, read_keys, write_values
from domain.errors import InvalidInput
from domain.keyring import Keyring

OLD = "o" * 32
FILE = f"# secrets\nMASTER_KEY={OLD}\nS3_SECRET_KEY=abc=def\n# OTHER_MASTER_KEYS=\n"


def step(name: str, keys: Keyring) -> Keyring:
    values = next_values(name, keys.current.secret, [key.secret for key in keys.others])
    others = [secret for secret in values["OTHER_MASTER_KEYS"].split(",") if secret]
    return Keyring.of(values["MASTER_KEY"], others)


def test_three_steps_lead_from_a_key_to_the_next() -> None:
    before = Keyring.of(OLD)
    accepted = step("accept", before)
    assert (accepted.current, len(accepted.others)) == (before.current, 1)
    [new] = accepted.others
    assert len(new.secret) == 64
    signing = step("sign", accepted)
    assert (signing.current, signing.others) == (new, (before.current,))
    assert step("retire", signing) == Keyring(new)


@pytest.mark.parametrize("name", ["sign", "retire"])
def test_a_step_before_its_turn_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="run the step `accept` first"):
        step(name, Keyring.of(OLD))


def test_a_file_keeps_everything_else_and_its_mode(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(FILE)
    path.chmod(0o600)
    write_values(path, {"MASTER_KEY": "n" * 32, "OTHER_MASTER_KEYS": OLD})
    assert path.read_text() == FILE.replace(OLD, "n" * 32) + f"OTHER_MASTER_KEYS={OLD}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_keys(path) == Keyring.of("n" * 32, [OLD])
    assert [found.name for found in tmp_path.iterdir()] == [".env"]


def test_a_file_without_a_master_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("MASTER_KEY=\n")
    with pytest.raises(InvalidInput, match="it has no MASTER_KEY"):
        read_keys(path)
