"""deploy/pin-images, with a docker command that knows every image."""

import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.compose_file import read_env
from tests.support.time_limits import scaled

DIGEST = "0123456789abcdef" * 4
Pin = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def pin(folder: Path, dot_env: dict[str, str], tmp_path: Path) -> Pin:
    """Return a function that runs deploy/pin-images with a registry that knows every image by this digest."""
    (tmp_path / "docker").mkdir()
    tool = tmp_path / "docker" / "docker"

    def run(digests: str) -> subprocess.CompletedProcess[str]:
        tool.write_text(
            "#!/bin/sh\n"
            'case "$1 $2" in\n'
            '    "pull --quiet") echo "$3" >>"$PULLED" ;;\n'
            f'    "image inspect") printf "%s\\n" "{digests}" ;;\n'
            "    *) exit 64 ;;\nesac\n"
        )
        tool.chmod(0o755)
        env = {"PATH": f"{tool.parent}:/usr/bin:/bin", "PULLED": str(tmp_path / "pulled")}
        return subprocess.run(  # noqa: S603
            [folder / "deploy" / "pin-images"], env=env, capture_output=True, text=True, timeout=scaled(20)
        )

    return run


def test_pin_images_writes_each_digest_behind_its_tag_and_nothing_else(
    folder: Path,
    dot_env: dict[str, str],
    tmp_path: Path,
    pin: Pin,
) -> None:
    images = {name for name in dot_env if name.endswith("_IMAGE")}
    assert len(images) == 8

    pinned = pin(f"some/name@sha256:{DIGEST}")
    assert pinned.returncode == 0, pinned.stderr

    after = read_env(folder / ".env")
    assert {name: value for name, value in after.items() if name not in images} == {
        name: value for name, value in dot_env.items() if name not in images
    }
    assert {after[name] for name in images} == {f"{dot_env[name]}@sha256:{DIGEST}" for name in images}
    assert (tmp_path / "pulled").read_text().split() == [dot_env[name] for name in dot_env if name in images]
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600

    again = pin(f"some/name@sha256:{DIGEST}")
    assert (again.returncode, again.stdout) == (0, "")
    assert read_env(folder / ".env") == after


def test_pin_images_leaves_the_file_alone_if_an_image_has_no_digest(
    folder: Path, dot_env: dict[str, str], pin: Pin
) -> None:
    refused = pin("")

    assert refused.returncode != 0
    assert "has no digest" in refused.stderr
    assert read_env(folder / ".env") == dot_env
    assert {path.name for path in folder.glob(".env*")} == {".env", ".env.example"}
