"""Runs the children of a stack: each in its own session, watched, and ended in reverse order.

Pids are on disk with their start times, so that the next run on the same data can end what a killed one left
running (`end_orphans`), and never another process with the same pid.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from devstack.errors import NotReady
from devstack.process.log import Log, log
from devstack.process.log_files import LogFiles
from devstack.process.private_files import read_json_object, write_private_json
from devstack.process.process_id import is_same_process, start_mark
from devstack.process.signals import end_group, end_process, signal_process, wait_gone
from devstack.process.stop_flag import StopFlag
from devstack.process.unix_user import UnixUser

PIDS_FILE = "processes.json"
SUPERVISOR = "supervisor"
WATCH_EVERY_SECONDS = 0.1
CAP_LOGS_EVERY_SECONDS = 5.0
BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 15.0
SETTLED_AFTER_SECONDS = 30.0
ORPHAN_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Command:
    """How to run one part of the stack. `env`: the whole environment, not an addition to ours."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None
    account: UnixUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_seconds: float = 10.0


@dataclass
class Child:
    """A running command, and how often it died recently."""

    command: Command
    process: subprocess.Popen[bytes]
    mark: str | None
    started_at: float
    is_watched: bool = False
    deaths: int = 0
    restart_at: float | None = None


class Supervisor:
    """Starts, watches, restarts and ends children. As a context manager, it ends them all."""

    def __init__(
        self,
        data_dir: Path,
        *,
        stop: StopFlag,
        log: Log = log,
        on_change: Callable[[Mapping[str, int]], None] = lambda _pids: None,
    ) -> None:
        """on_change: called with all pids, also our own, after each start of a child; one call at a time."""
        self.logs = LogFiles(data_dir / "logs")
        self.stop_flag = stop
        self._pids_file = data_dir / PIDS_FILE
        self._log = log
        self._on_change = on_change
        self._children: dict[str, Child] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._watcher.join()
        for child in reversed(self._children.values()):
            self._end(child)
        self._pids_file.unlink(missing_ok=True)

    @property
    def pids(self) -> dict[str, int]:
        """Return the pids of every child and of this process."""
        with self._lock:
            return {SUPERVISOR: os.getpid()} | {
                name: each.process.pid for name, each in self._children.items()
            }

    def announce(self) -> None:
        """Call `on_change` with the pids now."""
        with self._lock:
            self._on_change(self.pids)

    def start(self, command: Command) -> None:
        """Start a child. It is restarted on its death only after `wait_ready` has seen it ready."""
        with self._lock:
            self._children[command.name] = self._spawn(command)
            self._write_pids()

    def wait_ready(self, name: str, is_ready: Callable[[], bool], *, timeout_seconds: float) -> None:
        """Wait until a child is ready. Raises NotReady with the end of its log."""
        child = self._children[name]

        def is_ready_or_dead() -> bool:
            return child.process.poll() is not None or is_ready()

        try:
            self.stop_flag.wait_until(is_ready_or_dead, what=name, timeout_seconds=timeout_seconds)
        except NotReady as error:
            raise NotReady(f"{error}. The end of its log:\n{self.logs.tail(name)}") from None
        if child.process.poll() is not None:
            raise NotReady(
                f"{name} ended with {_exit(child.process)}. The end of its log:\n{self.logs.tail(name)}"
            )
        child.is_watched = True

    def _spawn(self, command: Command) -> Child:
        output = self.logs.open(command.name)
        account = command.account
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command lines
                command.argv,
                env=dict(command.env),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        finally:
            os.close(output)
        return Child(command, process, start_mark(process.pid), time.monotonic())

    def _end(self, child: Child) -> None:
        # One that is dead and waited for has given its number back, and a stranger may have it by now.
        if child.process.returncode is None:
            timeout_seconds = child.command.stop_timeout_seconds
            end_process(child.process.pid, number=child.command.stop_signal, timeout_seconds=timeout_seconds)
            child.process.wait()

    def _watch(self) -> None:
        cap_logs_at = 0.0
        while not self._closing.wait(WATCH_EVERY_SECONDS):
            with self._lock:
                for child in list(self._children.values()):
                    if child.is_watched and not self.stop_flag.is_set:
                        self._look_after(child)
            if time.monotonic() > cap_logs_at:
                cap_logs_at = time.monotonic() + CAP_LOGS_EVERY_SECONDS
                self._cap_logs()

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.restart_at is None:
            # Seen dead but not waited for yet: until then nobody else can be given its number.
            if start_mark(child.process.pid) is None:
                end_group(child.process.pid)
                child.process.wait()
                self._plan_restart(child, now)
        elif now >= child.restart_at:
            try:
                self._restart(child)
            except OSError as error:
                child.restart_at = now + BACKOFF_MAX_SECONDS
                self._log(f"{child.command.name} could not be started: {error}; trying again")

    def _plan_restart(self, child: Child, now: float) -> None:
        child.deaths = 1 if now - child.started_at > SETTLED_AFTER_SECONDS else child.deaths + 1
        delay = min(BACKOFF_FIRST_SECONDS * 2 ** (child.deaths - 1), BACKOFF_MAX_SECONDS)
        child.restart_at = now + delay
        self._log(
            f"{child.command.name} ended with {_exit(child.process)}; starting it again in {delay:g} s "
            f"(log: {self.logs.path(child.command.name)})"
        )

    def _restart(self, child: Child) -> None:
        again = self._spawn(child.command)
        again.is_watched, again.deaths = True, child.deaths
        self._children[child.command.name] = again
        self._write_pids()

    def _cap_logs(self) -> None:
        for name in list(self._children):
            # A full disk must not end the watch; the children will complain louder than we could.
            with suppress(OSError):
                self.logs.cap(name)

    def _write_pids(self) -> None:
        ourselves = {"pid": os.getpid(), "mark": start_mark(os.getpid())}
        children = {
            name: {
                "pid": child.process.pid,
                "mark": child.mark,
                "stop_signal": int(child.command.stop_signal),
            }
            for name, child in self._children.items()
        }
        write_private_json(self._pids_file, {SUPERVISOR: ourselves} | children)
        self._on_change(self.pids)


def _exit(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return f"exit status {code}" if code >= 0 else signal.Signals(-code).name


def living(data_dir: Path) -> dict[str, int]:
    """Return the parts of the last run on this data that are still alive, by name."""
    recorded = read_json_object(data_dir / PIDS_FILE)
    return {
        name: each["pid"] for name, each in recorded.items() if is_same_process(each["pid"], each["mark"])
    }


def end_orphans(data_dir: Path) -> list[str]:
    """End what a killed supervisor left running; return the names. The data's lock must be held."""
    recorded = read_json_object(data_dir / PIDS_FILE)
    orphans = {name: pid for name, pid in living(data_dir).items() if name != SUPERVISOR}
    for name, pid in orphans.items():
        for number in (recorded[name].get("stop_signal", signal.SIGTERM), signal.SIGCONT):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
    for pid in wait_gone(orphans.values(), ORPHAN_TIMEOUT_SECONDS):
        signal_process(pid, signal.SIGKILL)
    wait_gone(orphans.values(), ORPHAN_TIMEOUT_SECONDS)
    (data_dir / PIDS_FILE).unlink(missing_ok=True)
    return sorted(orphans)
