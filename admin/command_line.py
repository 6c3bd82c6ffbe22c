"""How commands are declared: a name, what it does, its arguments, and who answers for it."""

import argparse
import getpass
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from composition import ServiceSettings
from composition.repositories import Database
from domain.audit import Actor

MAX_KEY_DAYS = 3660
Command = Callable[[argparse.Namespace, ServiceSettings, Database], Awaitable[dict[str, Any] | str]]


class CommandFailed(Exception):
    """A command found what it looks for: its output is printed, and its exit code is 1."""

    def __init__(self, output: dict[str, Any]) -> None:
        super().__init__()
        self.output = output


class Commands:
    """The commands of `python -m admin`."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(self, name: str, do: Command | None, help_text: str) -> argparse.ArgumentParser:
        added = self._parsers.add_parser(name, help=help_text)
        added.set_defaults(do=do)
        return added

    def add_audited(
        self, name: str, do: Command, help_text: str, *, needs_reason: bool = False
    ) -> argparse.ArgumentParser:
        """Add a command that changes something, or costs something: it is in the audit trail."""
        added = self.add(name, do, help_text)
        added.add_argument(
            "--actor", default=default_actor(), help="who does it (default: ADMIN_ACTOR, or user@host)"
        )
        added.add_argument("--reason", required=needs_reason, default="", help="why, for the audit trail")
        return added


def default_actor() -> str:
    if named := os.environ.get("ADMIN_ACTOR"):
        return named
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def actor_of(wanted: argparse.Namespace) -> Actor:
    return Actor(wanted.actor, wanted.reason)


def plain(value: object) -> object:
    """Return a JSON value that keeps numbers exact: costs as floats would not add up."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal | date):
        return str(value)
    return value


def plain_line(line: Any) -> dict[str, object]:
    """Return a dataclass as a JSON object."""
    return {name: plain(value) for name, value in asdict(line).items()}
