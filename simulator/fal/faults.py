"""The faults of fal."""

from simulator.core.faults.kinds import FILES, JOBS, LOGS, SUBMIT, WEBHOOKS, FaultKind, FaultKinds, Phase

KINDS: FaultKinds = {
    **SUBMIT,
    **JOBS,
    **LOGS,
    **WEBHOOKS,
    **FILES,
    "completed_with_error": FaultKind(Phase.JOB, {"error_type": "runner_disconnected"}),
    "nsfw": FaultKind(Phase.JOB),
    "ignore_cancel": FaultKind(Phase.CANCEL),
    "stale_webhook": FaultKind(Phase.WEBHOOK, {"seconds": 600.0}),
    "wrong_account": FaultKind(Phase.WEBHOOK, {"user_id": "user_somebody_else"}),
}
