"""The faults of Replicate."""

from simulator.core.faults.kinds import FILES, JOBS, LOGS, SUBMIT, WEBHOOKS, FaultKind, FaultKinds, Phase

KINDS: FaultKinds = {
    **SUBMIT,
    "submit_402": FaultKind(Phase.ADMISSION, once=True),
    **JOBS,
    **LOGS,
    "moderation": FaultKind(Phase.JOB, {"code": "E005"}),
    "fail": FaultKind(Phase.JOB, {"code": "E1001"}),
    "partial_result": FaultKind(Phase.JOB, {"missing": 1.0}),
    "late_output": FaultKind(Phase.JOB, {"seconds": 2.0}),
    "early_output": FaultKind(Phase.JOB),
    "hide_webhook": FaultKind(Phase.JOB),
    "old_webhook_field": FaultKind(Phase.JOB),
    "ignore_cancel": FaultKind(Phase.CANCEL),
    **WEBHOOKS,
    "stale_webhook": FaultKind(Phase.WEBHOOK, {"seconds": 600.0}),
    **FILES,
}
