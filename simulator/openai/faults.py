"""The faults of OpenAI."""

from simulator.core.faults.kinds import FaultKind, FaultKinds, Phase
from simulator.core.synchronous.faults import SYNCHRONOUS

KINDS: FaultKinds = {
    **SYNCHRONOUS,
    "reject": FaultKind(Phase.ADMISSION, {"category": "violence"}),
    "insufficient_quota": FaultKind(Phase.ADMISSION),
    "moderation": FaultKind(Phase.JOB, {"category": "sexual"}),
    "fewer_images": FaultKind(Phase.JOB, {"count": 1.0}),
    "stream_error": FaultKind(Phase.ANSWER),
    "flag": FaultKind(Phase.CHECK, {"category": "violence"}),
    "check_error": FaultKind(Phase.CHECK, {"status": 500.0}),
}
