"""The parts of `deploy/try-images` that need no engine. The rest is its own test, run by hand."""

import re
import socket
import struct
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from devstack.errors import InstallFailed
from devstack.images import bases, checks, container_set
from devstack.images.resolver import response
from tests.deploy.compose_file import ROOT, raw_services, read_env

CONFINED: dict[str, Any] = {
    "Config": {"Env": ["PATH=/bin"], "Image": "some:1", "Labels": {"com.docker.compose.service": "api"}},
    "State": {"Running": False, "Pid": 0},
    "HostConfig": {
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "CapAdd": None,
        "SecurityOpt": ["no-new-privileges:true"],
        "Memory": 1,
        "NanoCpus": 1,
        "PidsLimit": 1,
    },
    "NetworkSettings": {"Networks": {f"{container_set.PROJECT}_data": {}}, "Ports": {}},
}


def query(name: str) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", 0xBEEF, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 16, 1)


def test_the_resolver_knows_no_name_and_says_so_of_the_name_that_was_asked() -> None:
    asked = query("_grpc_config.temporal")

    answered = response(asked)

    assert answered is not None
    identifier, flags, questions, *records = struct.unpack(">6H", answered[:12])
    assert (identifier, questions, records) == (0xBEEF, 1, [0, 0, 0])
    is_response, code = flags >> 15, flags & 0xF
    assert (is_response, code) == (1, 3)
    assert answered[12:] == asked[12:]


@pytest.mark.parametrize("broken", [b"", b"\x01", query("a.b")[:-3], query("a.b")[:14]])
def test_the_resolver_does_not_answer_what_is_no_question(broken: bytes) -> None:
    assert response(broken) is None


def test_every_foreign_image_has_a_stand_in() -> None:
    dockerfile = (ROOT / "devstack/images/bases.Dockerfile").read_text()
    images = {name for name in read_env(ROOT / ".env.example") if name.endswith(bases.IMAGE_SUFFIX)}

    assert images
    assert {name.lower() for name in images} <= set(
        re.findall(r"^FROM \S+ AS (\S+)", dockerfile, re.MULTILINE)
    )


def test_the_override_changes_nothing_but_names_and_the_builds_network() -> None:
    override = container_set._override()

    assert override["services"].keys() == raw_services().keys()
    for name, service in override["services"].items():
        built = {"build"} if "build" in raw_services()[name] else set()
        assert service.keys() == {"dns"} | built


def test_a_port_that_is_in_use_is_said_before_anything_starts() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        config = {"services": {"proxy": {"ports": [{"host_ip": "127.0.0.1", "published": str(port)}]}}}
        with pytest.raises(InstallFailed, match=f"127.0.0.1:{port} is in use"):
            container_set._refuse_busy_ports(config)
    container_set._refuse_busy_ports(config)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ReadonlyRootfs", False, "its root can be written"),
        ("CapDrop", None, "it keeps capabilities"),
        ("CapAdd", ["NET_ADMIN"], "it keeps capabilities"),
        ("SecurityOpt", [], "it may gain privileges"),
        ("Memory", 0, "its memory has no limit"),
        ("NanoCpus", 0, "its processors have no limit"),
        ("PidsLimit", None, "its processes have no limit"),
    ],
)
def test_the_check_sees_what_is_not_confined(
    name: str, value: object, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Any = SimpleNamespace()
    config = {"services": {"api": {"networks": {"data": None}}}}
    monkeypatch.setattr(checks, "configuration", lambda _: config)
    monkeypatch.setattr(checks, "containers", lambda _: {"api": CONFINED})
    assert list(checks._confinement(engine)) == []

    loose = CONFINED | {"HostConfig": CONFINED["HostConfig"] | {name: value}}
    monkeypatch.setattr(checks, "containers", lambda _: {"api": loose})

    assert list(checks._confinement(engine)) == [f"api: {problem}"]


def test_the_check_sees_a_port_and_a_secret_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    engine: Any = SimpleNamespace()
    open_to_all = {"8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8000"}]}  # noqa: S104
    found = CONFINED | {
        "Config": {"Env": ["S3_ROOT_SECRET_KEY=x"]},
        "NetworkSettings": {"Networks": {}, "Ports": open_to_all},
    }
    monkeypatch.setattr(checks, "configuration", lambda _: {"services": {"api": {}}})
    monkeypatch.setattr(checks, "containers", lambda _: {"api": found})

    assert list(checks._secrets(engine)) == ["api: has S3_ROOT_SECRET_KEY"]
    [published] = checks._published(engine)
    assert published.startswith("api: publishes [('0.0.0.0', '8000')]")


STATUS = """Name:\tpython
Uid:\t10001\t10001\t10001\t10001
CapEff:\t0000000000000000
CapBnd:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
"""
MOUNTS = """501 430 0:61 / / ro,relatime - overlay overlay rw
502 501 0:64 / /tmp rw,nosuid - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("found", "instead", "problem"),
    [
        ("Uid:\t10001\t10001", "Uid:\t10001\t0", "it runs as root"),
        ("CapEff:\t0000000000000000", "CapEff:\t00000000a80425fb", "it has effective capabilities"),
        ("CapBnd:\t0000000000000000", "CapBnd:\t00000000a80425fb", "it could get capabilities"),
        ("NoNewPrivs:\t1", "NoNewPrivs:\t0", "it may gain privileges"),
        ("Seccomp:\t2", "Seccomp:\t0", "no system call is refused"),
        ("/ / ro,relatime", "/ / rw,relatime", "the kernel lets it write its root"),
    ],
)
def test_the_check_sees_what_the_kernel_allows(
    tmp_path: Path, found: str, instead: str, problem: str
) -> None:
    (tmp_path / "status").write_text(STATUS)
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert list(checks._kernel_problems(tmp_path)) == []

    (tmp_path / "status").write_text(STATUS.replace(found, instead))
    (tmp_path / "mountinfo").write_text(MOUNTS.replace(found, instead))

    assert list(checks._kernel_problems(tmp_path)) == [problem]
