"""What may go wrong at Together.

`truncated_body`, `slow_body` and `wrong_bytes` strike what carries the image: the answer, or the file.
"""

from simulator.fault_kinds import FILES, FaultKind, FaultKinds, Phase
from simulator.synchronous.fault_kinds import SYNCHRONOUS

KINDS: FaultKinds = {
    **SYNCHRONOUS,
    **FILES,
    "insufficient_quota": FaultKind(Phase.ADMISSION),
    "fewer_images": FaultKind(Phase.JOB, {"count": 1.0}),
}
