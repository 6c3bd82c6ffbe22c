"""Commands that let one master key follow another, without a stop and without a link that breaks early."""

import argparse
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from admin.command_line import Commands, actor_of
from composition import ServiceSettings
from composition.deliveries import reseal_secrets
from composition.repositories import Database, record_alone
from composition.settings import keyring
from domain.audit import AuditAction
from domain.errors import InvalidInput
from domain.keyring import Keyring, MasterKey

_KEY_BYTES = 32
_CURRENT, _OTHERS = "MASTER_KEY", "OTHER_MASTER_KEYS"
_NEXT = {
    "accept": "restart every API and worker process, then run the step `sign`",
    "sign": "restart them, wait IMAGE_LINK_DAYS and a day, then run the step `retire`",
    "retire": "restart them: what only the old key signed is refused from then on",
}


async def _list(_: argparse.Namespace, settings: ServiceSettings, __: Database) -> dict[str, Any]:
    keys = keyring(settings)
    return {"signs": keys.current.id, "accepted": [key.id for key in keys.accepted]}


async def _rotate(wanted: argparse.Namespace, settings: ServiceSettings, pool: Database) -> dict[str, Any]:
    keys = keyring(settings) if wanted.env_file is None else read_keys(wanted.env_file)
    values = next_values(wanted.step, keys.current.secret, [key.secret for key in keys.others])
    others = [secret for secret in values[_OTHERS].split(",") if secret]
    ids: dict[str, Any] = {
        "signs": MasterKey(values[_CURRENT]).id,
        "others": [MasterKey(secret).id for secret in others],
    }
    if wanted.step == "retire":
        # What only the old key opens would be lost with it.
        ids |= {"resealed": await reseal_secrets(keys, pool)}
    await record_alone(pool, actor_of(wanted), AuditAction.ROTATE_MASTER_KEY, wanted.step, **ids)
    done = ids | {"next": _NEXT[wanted.step]}
    if wanted.env_file is None:
        return done | {"set": values}
    write_values(wanted.env_file, values)
    return done | {"written": str(wanted.env_file)}


def next_values(step: str, current: str, others: list[str]) -> dict[str, str]:
    """Return both settings after a step. Raises InvalidInput where it is not its turn."""
    if step == "accept":
        return {_CURRENT: current, _OTHERS: ",".join([*others, secrets.token_hex(_KEY_BYTES)])}
    if not others:
        raise InvalidInput(errors=(("step", f"{_OTHERS} is empty: run the step `accept` first"),))
    if step == "sign":
        return {_CURRENT: others[-1], _OTHERS: ",".join([*others[:-1], current])}
    return {_CURRENT: current, _OTHERS: ""}


def read_keys(path: Path) -> Keyring:
    """Read both settings from a file of `NAME=value` lines. Raises InvalidInput without a MASTER_KEY."""
    written = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    if not written.get(_CURRENT):
        raise InvalidInput(errors=(("env_file", f"it has no {_CURRENT}"),))
    return Keyring.of(written[_CURRENT], [key for key in written.get(_OTHERS, "").split(",") if key])


def write_values(path: Path, values: Mapping[str, str]) -> None:
    """Set variables in a file of `NAME=value` lines, whole or not at all, with the file's own mode."""
    lines = path.read_text().splitlines()
    for name, value in values.items():
        kept = [line for line in lines if not line.startswith(f"{name}=")]
        at = next((number for number, line in enumerate(lines) if line.startswith(f"{name}=")), len(kept))
        lines = [*kept[:at], f"{name}={value}", *kept[at:]]
    with NamedTemporaryFile("w", dir=path.parent, prefix=".env-", delete=False) as file:
        file.write("\n".join(lines) + "\n")
        os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
    Path(file.name).replace(path)


def add_to(commands: Commands) -> None:
    """Declare the commands."""
    commands.add("list-master-keys", _list, "ids of the master keys: the one that signs, and all accepted")
    rotated = commands.add_audited(
        "rotate-master-key", _rotate, "one step from a master key to the next; see docs/master-keys.md"
    )
    rotated.add_argument("step", choices=tuple(_NEXT))
    rotated.add_argument("--env-file", type=Path, help="write the values there (default: print them)")
