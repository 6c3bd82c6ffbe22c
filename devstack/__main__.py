"""The stack's commands: `python -m devstack up | demo | pause | resume | kill | admin | install | clean`."""

import argparse
import sys
from pathlib import Path

from devstack.demo.cases import CASES
from devstack.demo.run import demo
from devstack.errors import Interrupted, StackError
from devstack.install import programs
from devstack.process.log import log
from devstack.process.stop_flag import StopFlag, stop_on_signals
from devstack.servers.app_processes import ROOT, become_admin
from devstack.servers.running import install_missing
from devstack.stack import control
from devstack.stack.up import up

INTERRUPTED_EXIT_CODE = 130


def main(arguments: list[str]) -> int:
    """Return the exit code. Print errors that a user can fix without a traceback."""
    options = _parser().parse_args(arguments)
    with stop_on_signals() as stop:
        try:
            return _run(options, stop)
        except StackError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        except Interrupted:
            log("stopped")
            return INTERRUPTED_EXIT_CODE


def _run(options: argparse.Namespace, stop: StopFlag) -> int:
    folder: Path = options.data_dir
    match options.command:
        case "up":
            up(folder, stop=stop)
        case "demo":
            return 0 if demo(stop=stop, keep=options.keep) else 1
        case "install":
            install_missing(stop=stop, log=log)
            if options.tests:
                programs.versitygw(stop=stop, log=log)
        case "clean":
            log(f"removed {folder}" if control.clean(folder) else f"nothing to remove at {folder}")
        case "admin":
            become_admin(options.arguments, control.settings_of(folder))
        case action:
            log(f"{action}: {options.name} (pid {control.act(folder, action, options.name)})")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devstack", description=__doc__)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=ROOT / ".darkroom",
        help="where `up` keeps its data (default: .darkroom)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="run the whole stack until Ctrl-C")
    demo = commands.add_parser(
        "demo", help=f"run it on temporary data, make {len(CASES)} generations, check them"
    )
    demo.add_argument("--keep", action="store_true", help="leave the stack running until Ctrl-C")
    for action, help_text in (
        ("pause", "stop one part of the running stack in its tracks"),
        ("resume", "let a paused part go on"),
        ("kill", "kill one part; the stack starts it again"),
    ):
        commands.add_parser(action, help=help_text).add_argument(
            "name", help="a name under `pids` in stack.json"
        )
    admin = commands.add_parser("admin", help="run `python -m admin` with the settings of the running stack")
    admin.add_argument("arguments", nargs=argparse.REMAINDER, metavar="COMMAND …", help="as for it")
    installing = commands.add_parser("install", help="fetch or build the servers that are missing")
    installing.add_argument("--tests", action="store_true", help="also the second S3 server, for the tests")
    commands.add_parser("clean", help="remove the data of `up`")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
