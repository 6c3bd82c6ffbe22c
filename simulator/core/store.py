"""The store of a simulator, one SQLite file: jobs, webhooks to send, log, fault rules, signing key.

One connection, used from the event loop alone, with transactions of a few rows each (tens of microseconds).
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simulator.core.faults.rows import FaultRows
from simulator.core.jobs import Job
from simulator.core.rows import Delivery, Window, delivery_of, dump_faults, job_of

MAX_LOG_ENTRIES = 500_000
MAX_JOBS = 200_000
_TRIM_EVERY = 5_000
COMPLETED = "completed"  # the event of the webhook that tells a job's end

_SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, endpoint TEXT NOT NULL,
    prompt TEXT NOT NULL, picture TEXT NOT NULL, arguments TEXT NOT NULL, faults TEXT NOT NULL,
    webhook_url TEXT, base_url TEXT NOT NULL,
    created_at REAL NOT NULL, starts_at REAL NOT NULL, ends_at REAL, canceled_at REAL);
CREATE INDEX IF NOT EXISTS jobs_by_end ON jobs (ends_at);
CREATE TABLE IF NOT EXISTS inputs (
    job_id TEXT NOT NULL, number INTEGER NOT NULL, png BLOB NOT NULL, PRIMARY KEY (job_id, number));
CREATE TABLE IF NOT EXISTS webhooks (
    job_id TEXT NOT NULL, event TEXT NOT NULL, state TEXT NOT NULL, due_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, copies INTEGER NOT NULL DEFAULT 1, body BLOB,
    faults TEXT NOT NULL DEFAULT '[]', PRIMARY KEY (job_id, event));
CREATE INDEX IF NOT EXISTS webhooks_pending ON webhooks (due_at) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, request_id TEXT,
    prompt TEXT NOT NULL, detail TEXT NOT NULL);
"""

_IN_WINDOW = "SELECT * FROM jobs WHERE created_at >= ? AND created_at < ? AND number > ? AND number < ?"
_UPWARDS = _IN_WINDOW + " ORDER BY number LIMIT ?"
_DOWNWARDS = _IN_WINDOW + " ORDER BY number DESC LIMIT ?"


class Store(FaultRows):
    """The store, which survives a SIGKILL of the process at any time."""

    def __init__(self, file: Path) -> None:
        db = sqlite3.connect(file, isolation_level=None, timeout=10)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        # What was written outlives the process; outliving a power cut too would cost an fsync in the loop.
        db.execute("PRAGMA synchronous = OFF")
        db.executescript(_SCHEMA)
        super().__init__(db)
        self._db.execute("UPDATE webhooks SET state = 'pending' WHERE state = 'sending'")
        self._writes_until_trim = 0

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run a transaction. Do not await inside: the connection is shared."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def secret(self, name: str) -> bytes:
        """Return 32 random bytes, the same for a name on every call and after a restart."""
        self._db.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, secrets.token_bytes(32)))
        row = self._db.execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()
        return bytes(row["value"])

    # Jobs

    def add_job(
        self, job: Job, webhooks: Mapping[str, float] | None = None, inputs: Sequence[bytes] = ()
    ) -> None:
        """Store a job. webhooks: events with their times. inputs: the images to edit, as PNG."""
        self._db.execute(
            "INSERT INTO jobs (id, endpoint, prompt, picture, arguments, faults, webhook_url, base_url,"
            " created_at, starts_at, ends_at, canceled_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                job.canceled_at,
            ),
        )
        self._db.executemany(
            "INSERT INTO webhooks (job_id, event, state, due_at) VALUES (?, ?, 'pending', ?)",
            [(job.id, event, due_at) for event, due_at in (webhooks or {}).items()],
        )
        self._db.executemany(
            "INSERT INTO inputs VALUES (?, ?, ?)", [(job.id, *numbered) for numbered in enumerate(inputs)]
        )

    def inputs(self, job_id: str) -> list[bytes]:
        rows = self._db.execute("SELECT png FROM inputs WHERE job_id = ? ORDER BY number", (job_id,))
        return [bytes(row["png"]) for row in rows]

    def job(self, job_id: str) -> Job | None:
        row = self._db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else job_of(row)

    def jobs(self, limit: int) -> list[tuple[Job, str | None]]:
        """Return the newest jobs first, each with the state of its last webhook."""
        rows = self._db.execute(
            "SELECT jobs.*, webhooks.state AS webhook FROM jobs"
            " LEFT JOIN webhooks ON job_id = jobs.id AND event = ? ORDER BY number DESC LIMIT ?",
            (COMPLETED, limit),
        )
        return [(job_of(row), row["webhook"]) for row in rows]

    def open_count(self) -> int:
        """Return the number of jobs that have not ended."""
        now = time.time()
        row = self._db.execute(
            "SELECT count(*) FROM jobs WHERE (ends_at IS NULL OR ends_at > ?)"
            " AND (canceled_at IS NULL OR canceled_at > ?)",
            (now, now),
        ).fetchone()
        return int(row[0])

    def page(self, window: Window, limit: int) -> list[tuple[int, Job]]:
        """Return jobs with their numbers, newest first: of the window, or those just above `above`."""
        is_upwards = window.above is not None
        bounds = (window.since, window.until, window.above or 0, window.below or 2**62, limit)
        rows = self._db.execute(_UPWARDS if is_upwards else _DOWNWARDS, bounds)
        found = [(int(row["number"]), job_of(row)) for row in rows]
        return found[::-1] if is_upwards else found

    def spent(self) -> float:
        """Return the cost of all jobs, at a provider whose jobs have one."""
        row = self._db.execute("SELECT total(json_extract(arguments, '$.cost')) FROM jobs").fetchone()
        return float(row[0])

    def cancel_job(self, job_id: str, *, tells: bool = False) -> None:
        """End the job now, and drop its webhooks. tells: send the last one at once instead."""
        now = time.time()
        with self.transaction():
            self._db.execute("UPDATE jobs SET canceled_at = ? WHERE id = ?", (now, job_id))
            self._db.execute("UPDATE webhooks SET state = 'canceled' WHERE job_id = ?", (job_id,))
            if tells:
                self._db.execute(
                    "INSERT INTO webhooks (job_id, event, state, due_at) VALUES (?, ?, 'pending', ?)"
                    " ON CONFLICT DO UPDATE SET state = 'pending', due_at = excluded.due_at",
                    (job_id, COMPLETED, now),
                )

    def end_job(self, job_id: str) -> None:
        """Complete the job now."""
        now = time.time()
        with self.transaction():
            self._db.execute(
                "UPDATE jobs SET starts_at = ?, ends_at = ?, canceled_at = NULL WHERE id = ?",
                (now, now, job_id),
            )
            self._db.execute(
                "UPDATE webhooks SET due_at = ? WHERE job_id = ? AND state = 'pending'", (now, job_id)
            )

    # Webhooks

    def pending_count(self) -> int:
        row = self._db.execute(
            "SELECT count(*) FROM webhooks WHERE state IN ('pending', 'sending')"
        ).fetchone()
        return int(row[0])

    def next_due_at(self) -> float | None:
        row = self._db.execute("SELECT min(due_at) FROM webhooks WHERE state = 'pending'").fetchone()
        return None if row[0] is None else float(row[0])

    def take_due(self, now: float) -> Delivery | None:
        """Take the webhook that is due longest and mark it as being sent; a restart undoes the mark."""
        row = self._db.execute(
            "UPDATE webhooks SET state = 'sending' WHERE rowid = (SELECT rowid FROM webhooks"
            " WHERE state = 'pending' AND due_at <= ? ORDER BY due_at LIMIT 1) RETURNING *",
            (now,),
        ).fetchone()
        return None if row is None else delivery_of(row)

    def take(self, job_id: str) -> Delivery | None:
        """Take this job's last webhook, if it is pending, due or not."""
        row = self._db.execute(
            "UPDATE webhooks SET state = 'sending' WHERE job_id = ? AND event = ? AND state = 'pending'"
            " RETURNING *",
            (job_id, COMPLETED),
        ).fetchone()
        return None if row is None else delivery_of(row)

    def save_delivery(self, delivery: Delivery, state: str) -> None:
        """Store how a delivery ended, unless its job was canceled meanwhile."""
        self._db.execute(
            "UPDATE webhooks SET state = ?, due_at = ?, attempts = ?, copies = ?, body = ?, faults = ?"
            " WHERE job_id = ? AND event = ? AND state <> 'canceled'",
            (
                state,
                delivery.due_at,
                delivery.attempts,
                delivery.copies,
                delivery.body,
                dump_faults(delivery.faults),
                delivery.job_id,
                delivery.event,
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
        for table in ("webhooks", "inputs"):
            self._db.execute(
                f"DELETE FROM {table} WHERE job_id IN (SELECT id FROM jobs WHERE number <= {oldest})",  # noqa: S608
                (MAX_JOBS,),
            )
        self._db.execute(f"DELETE FROM jobs WHERE number <= {oldest}", (MAX_JOBS,))  # noqa: S608
