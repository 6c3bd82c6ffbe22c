"""Every provider there is, by the name it has on the command line. A new one is one line here."""

from collections.abc import Callable
from dataclasses import dataclass

import simulator.bfl.fault_kinds
import simulator.fal.fault_kinds
import simulator.gemini.fault_kinds
import simulator.openai.fault_kinds
import simulator.replicate.fault_kinds
import simulator.together.fault_kinds
from simulator.bfl.provider import Bfl
from simulator.fal.provider import Fal
from simulator.fault_kinds import FaultKinds
from simulator.gemini.provider import Gemini
from simulator.openai.provider import OpenAI
from simulator.provider import Provider, Workbench
from simulator.replicate.provider import Replicate
from simulator.together.provider import Together


@dataclass(frozen=True)
class Registered:
    """What the server must know of a provider before it makes one.

    result_seconds: how long the addresses of a result are good after its job's end; None means always.
    signs_urls: whether those addresses carry their end and a signature.
    webhook_retry_seconds: waits between attempts to deliver a webhook.
    has_region: whether it listens on a second port, for requests to its regional host.
    """

    make: Callable[[Workbench], Provider]
    faults: FaultKinds
    result_seconds: float | None = None
    signs_urls: bool = False
    webhook_retry_seconds: tuple[float, ...] = (1, 2, 5, 10, 20, 40, 40)
    has_region: bool = False


PROVIDERS: dict[str, Registered] = {
    "fal": Registered(Fal, simulator.fal.fault_kinds.KINDS),
    "replicate": Registered(
        Replicate,
        simulator.replicate.fault_kinds.KINDS,
        result_seconds=3_600,
        webhook_retry_seconds=(1, 4, 15, 40),
    ),
    "bfl": Registered(
        Bfl,
        simulator.bfl.fault_kinds.KINDS,
        result_seconds=600,
        signs_urls=True,
        webhook_retry_seconds=(1, 5, 30),
        has_region=True,
    ),
    "gemini": Registered(Gemini, simulator.gemini.fault_kinds.KINDS),
    "openai": Registered(OpenAI, simulator.openai.fault_kinds.KINDS),
    "together": Registered(Together, simulator.together.fault_kinds.KINDS),
}
