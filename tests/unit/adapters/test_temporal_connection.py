"""How Temporal is spoken to: never with a key in clear text, and only with files that can be used."""

import re
from pathlib import Path

import pytest

from adapters.temporal_connection import TemporalAddress, connect, tls_of_files
from tests.support.tls_front import Authority


@pytest.mark.parametrize("address", ["temporal:7233", "10.0.0.7:7233", "t.test:7233", "[fd00::7]:7233"])
async def test_an_api_key_never_leaves_the_machine_in_clear_text(address: str) -> None:
    with pytest.raises(ValueError, match="clear text"):
        await connect(TemporalAddress(address, "default", "a-key"), lazy=True)


@pytest.mark.parametrize("address", ["127.0.0.1:7233", "localhost:7233", "[::1]:7233"])
async def test_it_may_stay_on_the_machine(address: str) -> None:
    await connect(TemporalAddress(address, "default", "a-key"), lazy=True)


async def test_with_tls_it_may_leave() -> None:
    await connect(TemporalAddress("t.example.com:7233", "default", "a-key", tls=True), lazy=True)
    await connect(TemporalAddress("t.example.com:7233", "default"), lazy=True)


def test_files_are_read(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.pair("own")
    files = [str(file) for file in (authority.ca_file, own.cert_file, own.key_file)]
    tls = tls_of_files(ca_file=files[0], cert_file=files[1], key_file=files[2], server_name="t")

    assert tls.server_root_ca_cert == authority.ca_file.read_bytes()
    assert tls.client_cert == own.cert_file.read_bytes()
    assert tls.client_private_key == own.key_file.read_bytes()
    assert tls.domain == "t"


@pytest.mark.parametrize("broken", ["no pair", "no key", "no file", "no certificate", "no authority"])
def test_files_that_cannot_be_used_are_one_sentence(tmp_path: Path, broken: str) -> None:
    authority = Authority(tmp_path)
    own, other, text = authority.pair("own"), authority.pair("other"), tmp_path / "text"
    text.write_text("a text")
    ca, cert, key = {
        "no pair": (authority.ca_file, own.cert_file, other.key_file),
        "no key": (authority.ca_file, own.cert_file, None),
        "no file": (authority.ca_file, own.cert_file, tmp_path / "none"),
        "no certificate": (authority.ca_file, text, own.key_file),
        "no authority": (text, own.cert_file, own.key_file),
    }[broken]
    with pytest.raises(ValueError, match="TEMPORAL_TLS_") as raised:
        tls_of_files(
            ca_file=str(ca), cert_file=str(cert), key_file=None if key is None else str(key), server_name=None
        )
    assert re.fullmatch(r"[^.\n]+( can be read| read|together)", str(raised.value))
