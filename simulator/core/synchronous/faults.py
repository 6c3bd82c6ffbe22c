"""The faults of synchronous providers."""

from simulator.core.faults.kinds import SUBMIT, FaultKind, FaultKinds, Phase

SYNCHRONOUS: FaultKinds = {
    **SUBMIT,
    "invalid_key": FaultKind(Phase.ADMISSION),
    "latency": FaultKind(Phase.JOB, {"seconds": 10.0}),
    "hang": FaultKind(Phase.JOB),
    "moderation": FaultKind(Phase.JOB),
    "fail": FaultKind(Phase.JOB),
    "empty_result": FaultKind(Phase.JOB),
    "truncated_body": FaultKind(Phase.ANSWER, {"length": "whole"}),
    "slow_body": FaultKind(Phase.ANSWER, {"seconds": 10.0}),
    "not_json": FaultKind(Phase.ANSWER),
    "huge_body": FaultKind(Phase.ANSWER, {"megabytes": 64.0}),
    "wrong_bytes": FaultKind(Phase.JOB),
}
