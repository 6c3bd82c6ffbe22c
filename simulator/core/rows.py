"""The rows of the store as objects."""

import json
import sqlite3
from dataclasses import asdict, dataclass

from simulator.core.faults.switches import Fault
from simulator.core.jobs import Job, Picture


@dataclass(frozen=True)
class Delivery:
    """A webhook that is still to be sent.

    event: its kind; a job has at most one of each.
    copies: how often it is still to be delivered. body: None until it is built; every attempt sends the same.
    """

    job_id: str
    event: str
    due_at: float
    attempts: int
    copies: int
    body: bytes | None
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Window:
    """Which jobs to list. since, until: unix seconds of their creation. above, below: their numbers."""

    since: float = 0.0
    until: float = float("inf")
    above: int | None = None
    below: int | None = None


def dump_faults(faults: tuple[Fault, ...]) -> str:
    return json.dumps([asdict(fault) for fault in faults])


def load_faults(text: str) -> tuple[Fault, ...]:
    return tuple(Fault(**fields) for fields in json.loads(text))


def job_of(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        endpoint=row["endpoint"],
        prompt=json.loads(row["prompt"]),
        picture=Picture(**json.loads(row["picture"])),
        arguments=json.loads(row["arguments"]),
        faults=load_faults(row["faults"]),
        webhook_url=row["webhook_url"],
        base_url=row["base_url"],
        created_at=row["created_at"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        canceled_at=row["canceled_at"],
    )


def delivery_of(row: sqlite3.Row) -> Delivery:
    return Delivery(
        job_id=row["job_id"],
        event=row["event"],
        due_at=row["due_at"],
        attempts=row["attempts"],
        copies=row["copies"],
        body=None if row["body"] is None else bytes(row["body"]),
        faults=load_faults(row["faults"]),
    )
