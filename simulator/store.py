"""All that a simulator remembers, in one SQLite file: jobs, webhooks to send, log, fault rules, signing key.

One connection, used from the event loop alone, with transactions of a few rows each (tens of microseconds).
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simulator.faults import Fault, Rule
from simulator.jobs import Job
from simulator.rows import Delivery, delivery_of, dump_faults, job_of, load_faults

MAX_LOG_ENTRIES = 500_000
MAX_JOBS = 200_000
_TRIM_EVERY = 5_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, endpoint TEXT NOT NULL,
    prompt TEXT NOT NULL, picture TEXT NOT NULL, arguments TEXT NOT NULL, faults TEXT NOT NULL,
    webhook_url TEXT, base_url TEXT NOT NULL,
    created_at REAL NOT NULL, starts_at REAL NOT NULL, ends_at REAL, canceled_at REAL);
CREATE TABLE IF NOT EXISTS deliveries (
    job_id TEXT PRIMARY KEY, state TEXT NOT NULL, due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    copies INTEGER NOT NULL DEFAULT 1, body BLOB, faults TEXT NOT NULL DEFAULT '[]');
CREATE INDEX IF NOT EXISTS deliveries_pending ON deliveries (due_at) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, request_id TEXT,
    prompt TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT, fault TEXT NOT NULL, prompt TEXT, endpoint TEXT,
    fired INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS marker_counts (
    scope TEXT NOT NULL, fault TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (scope, fault));
"""


class Store:
    """Survives a SIGKILL of the process at any moment."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        # What was written outlives the process; outliving a power cut too would cost an fsync in the loop.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_SCHEMA)
        self._db.execute("UPDATE deliveries SET state = 'pending' WHERE state = 'sending'")
        self._rules = self._read_rules()
        self._writes_until_trim = 0

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing. Do not await inside: the connection is shared."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def secret(self, name: str) -> bytes:
        """32 random bytes, the same ones for a name on every call and after a restart."""
        self._db.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, secrets.token_bytes(32)))
        row = self._db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return bytes(row["value"])

    # Jobs

    def add_job(self, job: Job) -> None:
        """Store the job and, if it has an address and an end, its webhook."""
        self._db.execute(
            "INSERT INTO jobs (id, endpoint, prompt, picture, arguments, faults, webhook_url, base_url,"
            " created_at, starts_at, ends_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                job.id,
                job.endpoint,
                json.dumps(job.prompt),
                json.dumps(asdict(job.picture)),
                json.dumps(job.arguments),
                dump_faults(job.faults),
                job.webhook_url,
                job.base_url,
                job.created_at,
                job.starts_at,
                job.ends_at,
            ),
        )
        if job.webhook_url is not None and job.ends_at is not None:
            self._db.execute(
                "INSERT INTO deliveries (job_id, state, due_at) VALUES (?, 'pending', ?)",
                (job.id, job.ends_at),
            )

    def job(self, job_id: str) -> Job | None:
        row = self._db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else job_of(row)

    def jobs(self, limit: int) -> list[tuple[Job, str | None]]:
        """The newest jobs first, each with the state of its webhook."""
        rows = self._db.execute(
            "SELECT jobs.*, deliveries.state AS webhook FROM jobs LEFT JOIN deliveries ON job_id = jobs.id"
            " ORDER BY number DESC LIMIT ?",
            (limit,),
        )
        return [(job_of(row), row["webhook"]) for row in rows]

    def cancel_job(self, job_id: str) -> None:
        """End the job now, and its webhook with it."""
        with self.transaction():
            self._db.execute("UPDATE jobs SET canceled_at = ? WHERE id = ?", (time.time(), job_id))
            self._db.execute("UPDATE deliveries SET state = 'canceled' WHERE job_id = ?", (job_id,))

    def end_job(self, job_id: str) -> None:
        """Make the job complete now."""
        now = time.time()
        with self.transaction():
            self._db.execute("UPDATE jobs SET starts_at = ?, ends_at = ? WHERE id = ?", (now, now, job_id))
            self._db.execute(
                "UPDATE deliveries SET due_at = ? WHERE job_id = ? AND state = 'pending'", (now, job_id)
            )

    # Webhooks

    def pending_count(self) -> int:
        row = self._db.execute(
            "SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending')"
        ).fetchone()
        return int(row[0])

    def next_due_at(self) -> float | None:
        row = self._db.execute("SELECT min(due_at) FROM deliveries WHERE state = 'pending'").fetchone()
        return None if row[0] is None else float(row[0])

    def take_due(self, now: float) -> Delivery | None:
        """The longest due webhook, marked as being sent; a restart marks it pending again."""
        row = self._db.execute(
            "UPDATE deliveries SET state = 'sending' WHERE job_id = (SELECT job_id FROM deliveries"
            " WHERE state = 'pending' AND due_at <= ? ORDER BY due_at LIMIT 1) RETURNING *",
            (now,),
        ).fetchone()
        return None if row is None else delivery_of(row)

    def take(self, job_id: str) -> Delivery | None:
        """This job's webhook, if it is pending, due or not."""
        row = self._db.execute(
            "UPDATE deliveries SET state = 'sending' WHERE job_id = ? AND state = 'pending' RETURNING *",
            (job_id,),
        ).fetchone()
        return None if row is None else delivery_of(row)

    def save_delivery(self, delivery: Delivery, state: str) -> None:
        """Keep what became of a webhook, unless its job was cancelled meanwhile."""
        self._db.execute(
            "UPDATE deliveries SET state = ?, due_at = ?, attempts = ?, copies = ?, body = ?, faults = ?"
            " WHERE job_id = ? AND state <> 'canceled'",
            (
                state,
                delivery.due_at,
                delivery.attempts,
                delivery.copies,
                delivery.body,
                dump_faults(delivery.faults),
                delivery.job_id,
            ),
        )

    # Log

    def log(self, kind: str, request_id: str | None, prompt: str, **detail: Any) -> None:
        self._db.execute(
            "INSERT INTO log (at, kind, request_id, prompt, detail) VALUES (?, ?, ?, ?, ?)",
            (time.time(), kind, request_id, json.dumps(prompt), json.dumps(detail)),
        )
        self._writes_until_trim -= 1
        if self._writes_until_trim < 0:
            self._writes_until_trim = _TRIM_EVERY
            self._trim()

    def entries(self, after: int, limit: int) -> list[dict[str, Any]]:
        rows = self._db.execute("SELECT * FROM log WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
        return [
            {
                "id": row["id"],
                "at": row["at"],
                "kind": row["kind"],
                "request_id": row["request_id"],
                "prompt": json.loads(row["prompt"]),
                **json.loads(row["detail"]),
            }
            for row in rows
        ]

    def _trim(self) -> None:
        self._db.execute("DELETE FROM log WHERE id <= (SELECT max(id) FROM log) - ?", (MAX_LOG_ENTRIES,))
        oldest = "(SELECT max(number) FROM jobs) - ?"
        self._db.execute(
            f"DELETE FROM deliveries WHERE job_id IN (SELECT id FROM jobs WHERE number <= {oldest})",  # noqa: S608
            (MAX_JOBS,),
        )
        self._db.execute(f"DELETE FROM jobs WHERE number <= {oldest}", (MAX_JOBS,))  # noqa: S608

    # Faults

    def rules(self) -> list[Rule]:
        return self._rules

    def add_rule(self, fault: Fault, prompt: str | None, endpoint: str | None) -> None:
        self._db.execute(
            "INSERT INTO rules (fault, prompt, endpoint) VALUES (?, ?, ?)",
            (dump_faults((fault,)), prompt, endpoint),
        )
        self._rules = self._read_rules()

    def clear_rules(self) -> None:
        self._db.execute("DELETE FROM rules")
        self._rules = []

    def count_rule(self, rule_id: int) -> None:
        self._db.execute("UPDATE rules SET fired = fired + 1 WHERE id = ?", (rule_id,))
        self._rules = self._read_rules()

    def _read_rules(self) -> list[Rule]:
        return [
            Rule(row["id"], load_faults(row["fault"])[0], row["prompt"], row["endpoint"], row["fired"])
            for row in self._db.execute("SELECT * FROM rules ORDER BY id")
        ]

    def marker_count(self, scope: str, name: str) -> int:
        row = self._db.execute(
            "SELECT count FROM marker_counts WHERE scope = ? AND fault = ?", (scope, name)
        ).fetchone()
        return 0 if row is None else int(row["count"])

    def count_marker(self, scope: str, name: str) -> None:
        self._db.execute(
            "INSERT INTO marker_counts VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            (scope, name),
        )

    def forget_markers(self, scope: str) -> None:
        self._db.execute("DELETE FROM marker_counts WHERE scope = ?", (scope,))
