"""Stand-ins for the published images, under the names that .env gives them."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from devstack.images import programs
from devstack.images.engine import Engine
from devstack.install import programs as servers
from devstack.install.cache import make_once
from devstack.install.progress import run_with_progress

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
DEBIAN_NAME = "darkroom-try/debian"
IMAGE_SUFFIX = "_IMAGE"
DEBIAN_NEEDED_BYTES = 1_000_000_000
DEBOOTSTRAP_TIMEOUT_SECONDS = 15 * 60.0
BUILD_TIMEOUT_SECONDS = 20 * 60.0
IMPORT_TIMEOUT_SECONDS = 2 * 60.0
UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
HERE = Path(__file__).parent


def build(engine: Engine, images: Mapping[str, str]) -> None:
    """Build a stand-in for each image. `images`: by the variables of .env.example that end in _IMAGE."""
    engine.docker("import", str(_debian(engine)), DEBIAN_NAME, timeout_seconds=IMPORT_TIMEOUT_SECONDS)
    context = _context(engine, images)
    services = {
        target.lower(): {
            "image": image,
            "build": {
                "context": str(context),
                "dockerfile": str(HERE / "bases.Dockerfile"),
                "target": target.lower(),
                "network": "host",
            },
        }
        for target, image in images.items()
    }
    file = engine.folder / "bases.json"
    file.write_text(json.dumps({"name": "darkroom-bases", "services": services}))
    engine.compose_aloud(
        f"building {len(services)} stand-ins on Debian {SUITE}",
        "--file",
        str(file),
        "build",
        timeout_seconds=BUILD_TIMEOUT_SECONDS,
    )


def _debian(engine: Engine) -> Path:
    """Return a minimal Debian as a tar file. It does not know this machine's certificate authorities."""

    def install(staging: Path) -> Path:
        root, packed = staging / "root", staging / "debian.tar"
        for title, argv in (
            (
                f"installing a minimal Debian {SUITE} (usually 2 minutes, once)",
                ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root), MIRROR],
            ),
            ("packing it", ["tar", "-C", str(root), *_left_out(), "-cf", str(packed), "."]),
        ):
            run_with_progress(
                title,
                argv,
                env=os.environ,
                cwd=staging,
                timeout_seconds=DEBOOTSTRAP_TIMEOUT_SECONDS,
                stop=engine.stop,
                log=engine.log,
            )
        return packed

    return make_once(
        f"debian-{SUITE}.tar", install, needed_bytes=DEBIAN_NEEDED_BYTES, stop=engine.stop, log=engine.log
    )


def _left_out() -> list[str]:
    return [f"--exclude=./{path}/*" for path in UNUSED]


def _context(engine: Engine, images: Mapping[str, str]) -> Path:
    """Return a folder with what the stand-ins copy."""
    context = engine.folder / "context"
    tags = {name: f"v{image.partition(':')[2]}" for name, image in images.items()}
    built = programs.temporal(
        tags["TEMPORAL_IMAGE"], tags["TEMPORAL_UI_IMAGE"], stop=engine.stop, log=engine.log
    )
    shutil.copytree(built, context)
    shutil.copy(servers.temporal(stop=engine.stop, log=engine.log), context / "temporal")
    shutil.copy(HERE / "postgres-entrypoint.sh", context)
    shutil.copytree(programs.go_root(), context / "go", symlinks=True)
    return context
