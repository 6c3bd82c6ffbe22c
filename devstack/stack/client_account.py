"""A tenant with a key and credits, so that a new stack can be used at once."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from devstack.errors import NotReady
from devstack.process.data_directory import DataDir
from devstack.process.private_files import read_json_object, write_private_json
from devstack.process.stop_flag import StopFlag
from devstack.servers.app_processes import run_admin

TENANT_ID = "ten_demo"
CREDITS = 10_000
FILE = "client.json"


@dataclass(frozen=True)
class ClientAccount:
    """The credentials of a client of the API."""

    tenant_id: str
    api_key: str


def open_account(data: DataDir, env: Mapping[str, str], stop: StopFlag) -> ClientAccount:
    """Return the account of the last run on this data and database; else create one with credits."""
    # A key is good only in the database that it was made in.
    database = hashlib.sha256(os.environ.get("DATABASE_URL", "").encode()).hexdigest()
    file = data.path / FILE
    known = read_json_object(file)
    if known.get("database") == database:
        return ClientAccount(known["tenant_id"], known["api_key"])
    account = make_account(TENANT_ID, CREDITS, env, stop)
    write_private_json(file, asdict(account) | {"database": database})
    return account


def make_account(tenant_id: str, credits: int, env: Mapping[str, str], stop: StopFlag) -> ClientAccount:
    """Make a tenant with these credits, once, and one more key for it."""
    _admin("create-tenant", tenant_id, "--id", tenant_id, env=env, stop=stop)
    _admin("grant", tenant_id, str(credits), "--reference", "devstack", env=env, stop=stop)
    # With every scope of a tenant, so that all examples of docs/ can be tried with it.
    made = _admin("create-key", tenant_id, "--scopes", "admin", env=env, stop=stop)
    return ClientAccount(tenant_id, str(made["api_key"]))


def _admin(*arguments: str, env: Mapping[str, str], stop: StopFlag) -> dict[str, Any]:
    printed = run_admin(*arguments, env=env, stop=stop).strip().splitlines()
    try:
        printed_object = json.loads(printed[-1])
    except (IndexError, ValueError):
        raise NotReady(f"`admin {arguments[0]}` did not print a line of JSON") from None
    if not isinstance(printed_object, dict):
        raise NotReady(f"`admin {arguments[0]}` did not print an object")
    return printed_object
