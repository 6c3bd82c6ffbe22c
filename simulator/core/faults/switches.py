"""The fault switches: which faults were requested, and which are active now.

A fault is requested by a marker in one prompt (`[sim:drop_webhook]`) or for all requests by a rule
(`PUT /_sim/faults`). Nothing here knows a provider.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Any, Protocol

from simulator.core.faults.kinds import FaultKinds, Phase, Value

MAX_MARKERS = 20
MAX_SECONDS = 86_400.0
MAX_TIMES = 1_000_000

_MARKER = re.compile(r"\[sim:([^\[\]]{0,200})\]")


class FaultInvalid(ValueError):
    """No such fault, or a value that it cannot have."""


@dataclass(frozen=True)
class Fault:
    """One requested fault. times: how often it applies; None means always."""

    name: str
    values: dict[str, Value]
    times: int | None = None

    def number(self, key: str) -> float:
        return float(self.values[key])

    def text(self, key: str) -> str:
        return str(self.values[key])


def parse_fault(kinds: FaultKinds, name: str, given: dict[str, Any], *, once: bool = False) -> Fault:
    """Parse a fault. Raises FaultInvalid. once: it applies once if `given` has no `times`."""
    kind = kinds.get(name)
    if kind is None:
        raise FaultInvalid(f"there is no fault {name!r}; there are: {', '.join(kinds)}")
    defaults = {key: value for key, value in kind.values.items() if key != "times"}
    unknown = given.keys() - defaults.keys() - {"times"}
    if unknown:
        raise FaultInvalid(f"{name} has no value {', '.join(sorted(unknown))}")
    values = {key: _value(key, given.get(key, default), default) for key, default in defaults.items()}
    times = given.get("times", 1 if once else None)
    return Fault(name, values, None if times is None else _times(times))


def _value(key: str, given: Any, default: Value) -> Value:
    if isinstance(default, str):
        text = str(given)
        if not text.isprintable() or not 0 < len(text) <= 200:
            raise FaultInvalid(f"{key} must be a short text")
        return text
    try:
        number = float(given)
    except (TypeError, ValueError):
        raise FaultInvalid(f"{key} must be a number") from None
    if not 0 <= number <= MAX_SECONDS:
        raise FaultInvalid(f"{key} must be between 0 and {MAX_SECONDS:.0f}")
    return number


def _times(given: Any) -> int:
    try:
        times = int(given)
    except (TypeError, ValueError, OverflowError):
        raise FaultInvalid("times must be a whole number") from None
    if not 1 <= times <= MAX_TIMES:
        raise FaultInvalid(f"times must be between 1 and {MAX_TIMES}")
    return times


def parse_markers(kinds: FaultKinds, prompt: str) -> tuple[Fault, ...]:
    """Return the faults in a prompt: `[sim:NAME]`, `[sim:NAME=VALUE]`, `[sim:NAME=VALUE,key=value]`.

    Raises FaultInvalid: a marker with a typing error must not look like a fault without effect.
    """
    found = _MARKER.findall(prompt)
    if len(found) > MAX_MARKERS:
        raise FaultInvalid(f"more than {MAX_MARKERS} markers")
    return tuple(_marker(kinds, text) for text in found)


def without_markers(prompt: str) -> str:
    return " ".join(_MARKER.sub(" ", prompt).split())


def _marker(kinds: FaultKinds, text: str) -> Fault:
    first, *rest = (part.strip() for part in text.split(","))
    name, has_value, value = first.partition("=")
    kind = kinds.get(name)
    given: dict[str, Any] = {}
    if kind is not None and has_value:
        given[next(iter(kind.values), "value")] = value
    for pair in rest:
        key, _, value = pair.partition("=")
        given[key.strip()] = value.strip()
    return parse_fault(kinds, name, given, once=kind is not None and kind.once)


@dataclass(frozen=True)
class Rule:
    """A fault for every request that matches. fired: how often it has applied so far."""

    id: int
    fault: Fault
    prompt: str | None = None
    endpoint: str | None = None
    fired: int = 0

    def applies(self, target: "Target") -> bool:
        if self.fault.times is not None and self.fired >= self.fault.times:
            return False
        if self.prompt is not None and self.prompt not in target.prompt:
            return False
        return self.endpoint is None or self.endpoint == target.endpoint


@dataclass(frozen=True)
class Target:
    """The request a fault may affect. request_id: None until it is accepted."""

    endpoint: str
    prompt: str
    request_id: str | None = None

    @property
    def scope(self) -> str:
        """Return what a marker's `times` is counted by: the request id, or before it the prompt."""
        if self.request_id is not None:
            return self.request_id
        return "prompt:" + hashlib.sha256(self.prompt.encode("utf-8", "replace")).hexdigest()[:32]


class FaultMemory(Protocol):
    """What the switches need of the store."""

    def rules(self) -> list[Rule]: ...
    def count_rule(self, rule_id: int) -> None: ...
    def marker_count(self, scope: str, name: str) -> int: ...
    def count_marker(self, scope: str, name: str) -> None: ...
    def forget_markers(self, scope: str) -> None: ...
    def log(self, kind: str, request_id: str | None, prompt: str, **detail: Any) -> None: ...


class FaultSwitches:
    """Decides which faults apply now, and counts and logs them."""

    def __init__(self, kinds: FaultKinds, memory: FaultMemory) -> None:
        self.kinds = kinds
        self._memory = memory

    def check(self, prompt: str) -> None:
        """Raise FaultInvalid if the provider has no such fault."""
        parse_markers(self.kinds, prompt)

    def active_faults(self, phase: Phase, target: Target) -> dict[str, Fault]:
        """Return the faults of this phase by name. A marker overrides a rule of the same name."""
        active: dict[str, Fault] = {}
        for fault in parse_markers(self.kinds, target.prompt):
            if (
                self.kinds[fault.name].phase is phase
                and fault.name not in active
                and self._has_left(fault, target)
            ):
                active[fault.name] = fault
        for rule in self._memory.rules():
            name = rule.fault.name
            if self.kinds[name].phase is phase and name not in active and rule.applies(target):
                active[name] = rule.fault
                self._memory.count_rule(rule.id)
        for name, fault in active.items():
            detail = {"fault": name, **fault.values}
            self._memory.log("fault_fired", target.request_id, target.prompt, **detail)
        return active

    def admitted(self, target: Target) -> None:
        """Reset the counters of a prompt that was accepted."""
        self._memory.forget_markers(replace(target, request_id=None).scope)

    def _has_left(self, fault: Fault, target: Target) -> bool:
        if fault.times is None:
            return True
        if self._memory.marker_count(target.scope, fault.name) >= fault.times:
            return False
        self._memory.count_marker(target.scope, fault.name)
        return True
