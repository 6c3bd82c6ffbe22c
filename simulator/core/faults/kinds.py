"""The kinds of fault that several providers share, in groups.

A provider's table consists of these groups and its own kinds: `{**SUBMIT, **FILES, "nsfw": …}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = float | str


class Phase(StrEnum):
    """The moment at which a fault can take effect."""

    ADMISSION = "admission"
    JOB = "job"
    ANSWER = "answer"
    CHECK = "check"
    STATUS = "status"
    CANCEL = "cancel"
    MINT = "mint"
    WEBHOOK = "webhook"
    FILE = "file"


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault. values: names with defaults; `[sim:name=value]` sets the first.

    once: whether a marker without `times` applies once instead of always.
    """

    phase: Phase
    values: dict[str, Value] = field(default_factory=dict)
    once: bool = False


FaultKinds = Mapping[str, FaultKind]

SUBMIT: dict[str, FaultKind] = {
    "submit_latency": FaultKind(Phase.ADMISSION, {"seconds": 5.0}),
    "submit_429": FaultKind(Phase.ADMISSION, {"retry_after": 1.0}, once=True),
    "submit_500": FaultKind(Phase.ADMISSION, once=True),
    "submit_503": FaultKind(Phase.ADMISSION, once=True),
    "reject": FaultKind(Phase.ADMISSION),
    "lost_answer": FaultKind(Phase.ANSWER),
}
JOBS: dict[str, FaultKind] = {
    "latency": FaultKind(Phase.JOB, {"seconds": 10.0}),
    "hang": FaultKind(Phase.JOB),
    "moderation": FaultKind(Phase.JOB),
    "fail": FaultKind(Phase.JOB),
    "empty_result": FaultKind(Phase.JOB),
    "unknown_status": FaultKind(Phase.JOB, {"status": "WARMING_UP"}),
    "status_429": FaultKind(Phase.STATUS, {"retry_after": 1.0}, once=True),
    "status_500": FaultKind(Phase.STATUS, once=True),
}
WEBHOOKS: dict[str, FaultKind] = {
    "early_webhook": FaultKind(Phase.ANSWER),
    "drop_webhook": FaultKind(Phase.WEBHOOK),
    "duplicate_webhook": FaultKind(Phase.WEBHOOK, {"copies": 2.0}),
    "delay_webhook": FaultKind(Phase.WEBHOOK, {"seconds": 5.0}),
    "forged_webhook": FaultKind(Phase.WEBHOOK),
}
LOGS: dict[str, FaultKind] = {"long_log": FaultKind(Phase.JOB, {"kilobytes": 100.0})}
FILES: dict[str, FaultKind] = {
    "expired_url": FaultKind(Phase.MINT, {"times": 1.0, "status": 403.0}, once=True),
    "truncated_body": FaultKind(Phase.FILE, {"length": "whole"}),
    "wrong_bytes": FaultKind(Phase.FILE),
    "slow_body": FaultKind(Phase.FILE, {"seconds": 10.0}),
}
