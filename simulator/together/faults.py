"""The faults of Together.

`truncated_body`, `slow_body` and `wrong_bytes` apply to what has the image: the response, or the file.
"""

from simulator.core.faults.kinds import FILES, FaultKind, FaultKinds, Phase
from simulator.core.synchronous.faults import SYNCHRONOUS

KINDS: FaultKinds = {
    **SYNCHRONOUS,
    **FILES,
    "insufficient_quota": FaultKind(Phase.ADMISSION),
    "fewer_images": FaultKind(Phase.JOB, {"count": 1.0}),
}
