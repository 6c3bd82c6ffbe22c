"""The faults of Gemini."""

from simulator.core.faults.kinds import FaultKind, FaultKinds, Phase
from simulator.core.synchronous.faults import SYNCHRONOUS

KINDS: FaultKinds = {
    **SYNCHRONOUS,
    "reject": FaultKind(Phase.ADMISSION, {"reason": "PROHIBITED_CONTENT"}),
    "invalid_key": FaultKind(Phase.ADMISSION, {"status": 400.0}),
    "moderation": FaultKind(Phase.JOB, {"reason": "IMAGE_SAFETY"}),
    "finish_reason": FaultKind(Phase.JOB, {"reason": "NO_IMAGE"}),
    "text_only": FaultKind(Phase.JOB),
    "thoughts": FaultKind(Phase.JOB, {"count": 2.0}),
}
