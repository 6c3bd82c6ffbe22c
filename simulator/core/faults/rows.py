"""The rows of the fault switches, in the store of the simulator."""

import sqlite3

from simulator.core.faults.switches import Fault, Rule
from simulator.core.rows import dump_faults, load_faults

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT, fault TEXT NOT NULL, prompt TEXT, endpoint TEXT,
    fired INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS marker_counts (
    scope TEXT NOT NULL, fault TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (scope, fault));
"""


class FaultRows:
    """The active rules, and how often each marker has applied."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._db.executescript(_SCHEMA)
        self._rules = self._read_rules()

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
