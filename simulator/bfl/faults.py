"""The faults of Black Forest Labs."""

from simulator.core.faults.kinds import FILES, JOBS, SUBMIT, WEBHOOKS, FaultKind, FaultKinds, Phase

KINDS: FaultKinds = {
    **SUBMIT,
    "submit_402": FaultKind(Phase.ADMISSION, once=True),
    "submit_502": FaultKind(Phase.ADMISSION, once=True),
    "hybrid_answer": FaultKind(Phase.ANSWER),
    "no_cost": FaultKind(Phase.ANSWER),
    **JOBS,
    "moderation": FaultKind(Phase.JOB, {"stage": "output"}),
    "unknown_status": FaultKind(Phase.JOB, {"status": "Reasoning"}),
    "ends_as": FaultKind(Phase.JOB, {"status": "Failed"}),
    "task_not_found": FaultKind(Phase.STATUS, {"status": 404.0}, once=True),
    "wrong_region": FaultKind(Phase.STATUS),
    **WEBHOOKS,
    "unsigned_webhook": FaultKind(Phase.WEBHOOK),
    **FILES,
}
