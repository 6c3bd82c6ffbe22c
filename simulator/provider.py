"""What a simulated provider is given, and what it has to bring."""

from dataclasses import dataclass
from typing import Protocol

from starlette.routing import Route

from simulator.delivery import Deliveries, WebhookFormat
from simulator.faults import FaultSwitches
from simulator.files import Files
from simulator.options import Options
from simulator.store import Store


@dataclass(frozen=True)
class Workbench:
    """The parts that every provider shares."""

    options: Options
    store: Store
    switches: FaultSwitches
    files: Files


class Provider(Protocol):
    """One provider's wire format. It is made with a Workbench."""

    @property
    def webhooks(self) -> WebhookFormat: ...
    def routes(self, deliveries: Deliveries) -> list[Route]: ...
