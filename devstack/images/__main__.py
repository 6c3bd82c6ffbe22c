"""`python -m devstack.images`, which `deploy/try-images` runs."""

import argparse
import json
import sys
import time
from collections.abc import Callable

from devstack.errors import Interrupted, StackError
from devstack.images import bases, checks, container_set, engine, generation, programs
from devstack.images.engine import Engine
from devstack.process import data_directory
from devstack.process.data_directory import DataDir
from devstack.process.log import log
from devstack.process.stop_flag import StopFlag, stop_on_signals
from devstack.process.supervisor import Supervisor

INTERRUPTED_EXIT_CODE = 130
# A user id that no image knows.
UNKNOWN_USER = "54321:54321"


def main(arguments: list[str]) -> int:
    """Return the exit code. Print errors that a user can mend without a traceback."""
    parser = argparse.ArgumentParser(prog="deploy/try-images", description=__doc__)
    parser.parse_args(arguments)
    with stop_on_signals() as stop:
        try:
            _try(stop)
        except StackError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        except Interrupted:
            log("stopped")
            return INTERRUPTED_EXIT_CODE
    log("the hardened set runs: a generation completed in it, and every check passed")
    return 0


def _try(stop: StopFlag) -> None:
    with (
        data_directory.temporary_folder() as folder,
        DataDir(folder).held(),
        Supervisor(folder, stop=stop) as supervisor,
    ):
        engine.install_engine(folder, stop=stop, log=log)
        daemon = Engine(folder, programs.compose(stop=stop, log=log), stop, log)
        _timed("the daemon started", lambda: engine.start(supervisor, daemon))
        ready, env = container_set.prepare(daemon)
        images = {name: image for name, image in env.items() if name.endswith(bases.IMAGE_SUFFIX)}
        bases.build(daemon, images)
        container_set.build(ready)
        with container_set.running(ready, supervisor):
            generation.run(ready, env)
            checks.run(ready, env)
            _as_unknown_user(ready)


def _as_unknown_user(ready: Engine) -> None:
    """Start Temporal again under a user id without a name, as some platforms choose one."""
    file = ready.folder / "set" / "unknown-user.json"
    file.write_text(json.dumps({"services": {"temporal": {"user": UNKNOWN_USER}}}))
    changed = Engine(
        ready.folder, ready.compose_program, ready.stop, log, (*ready.compose_arguments, f"--file={file}")
    )
    container_set.up(changed, "--no-deps", "temporal")
    user = checks.containers(changed)["temporal"]["Config"]["User"]
    log(f"Temporal is healthy as the user {user}, which its image does not know")


def _timed(what: str, do: Callable[[], None]) -> None:
    started = time.monotonic()
    do()
    log(f"{what} in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
