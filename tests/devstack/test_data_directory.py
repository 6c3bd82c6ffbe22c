"""What a data folder stores, who may use it, and when it is removed."""

import socket
import stat
import tempfile
from pathlib import Path

import pytest

from devstack.errors import AlreadyRunning
from devstack.process import data_directory
from devstack.process.data_directory import DataDir
from devstack.process.locks import exclusive_lock
from devstack.process.supervisor import PIDS_FILE
from devstack.process.unix_user import UnixUser, can_enter


def test_ports_and_secrets_are_the_same_at_the_next_run(tmp_path: Path) -> None:
    first = DataDir(tmp_path)
    before = first.port("api"), first.port("temporal"), first.secret("master_key")
    second = DataDir(tmp_path)

    assert (second.port("api"), second.port("temporal"), second.secret("master_key")) == before
    assert len(set(before)) == 3


def test_a_port_that_someone_took_is_replaced(tmp_path: Path) -> None:
    before = DataDir(tmp_path).port("api")
    with socket.create_server(("127.0.0.1", before)):
        assert DataDir(tmp_path).port("api") != before


def test_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    DataDir(tmp_path).secret("master_key")

    assert stat.S_IMODE((tmp_path / data_directory.STATE_FILE).stat().st_mode) == 0o600


def test_a_folder_has_one_holder(tmp_path: Path) -> None:
    with (
        DataDir(tmp_path).held(),
        pytest.raises(AlreadyRunning, match="already running"),
        DataDir(tmp_path).held(),
    ):
        pass

    with DataDir(tmp_path).held() as orphans:
        assert orphans == []


def test_data_that_a_user_cannot_reach_is_moved_and_removed_with_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, shared = tmp_path / "closed", tmp_path / "shared"
    closed.mkdir(mode=0o700)
    nobody = UnixUser("nobody", 65534, 65534)
    monkeypatch.setattr(data_directory, "shared_root", lambda _account: shared)
    monkeypatch.setattr(data_directory, "SHARED_ROOTS", (shared,))
    shared.mkdir()
    data = DataDir(closed / "data")
    outside = data.folder("postgres-18", nobody)
    outside.mkdir()

    assert not can_enter(nobody, data.path)
    assert outside.is_relative_to(shared)
    assert data.folder("postgres-18", nobody) == outside

    data_directory.remove(data.path)
    assert not outside.exists()
    assert not data.path.exists()


def test_a_temporary_folder_whose_user_died_goes_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    abandoned, in_use, foreign = (
        tmp_path / f"{data_directory.TEMPORARY_PREFIX}{name}" for name in ("dead", "used", "foreign")
    )
    for folder in (abandoned, in_use, foreign):
        folder.mkdir()
        (folder / PIDS_FILE).write_text("{}")
    (abandoned / data_directory.LOCK_FILE).touch()

    with exclusive_lock(in_use / data_directory.LOCK_FILE), data_directory.temporary_folder() as mine:
        left = set(tmp_path.iterdir())

    assert left == {in_use, foreign, mine}
    assert not mine.exists()


def test_a_port_that_is_in_use_by_now_stays_the_one_of_this_run(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    port = data.port("simulator-bfl-region")
    with socket.create_server(("127.0.0.1", port)):
        assert data.port("simulator-bfl-region") == port
