"""What a simulated provider gets, and what it has to provide."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.routing import Route

from simulator.core.delivery import Deliveries, WebhookFormat
from simulator.core.faults.kinds import FaultKinds
from simulator.core.faults.switches import FaultSwitches
from simulator.core.files import Files
from simulator.core.options import Options
from simulator.core.store import Store


@dataclass(frozen=True)
class Context:
    """What every provider shares."""

    options: Options
    store: Store
    switches: FaultSwitches
    files: Files


class Provider(Protocol):
    """One provider's API, built with a Context."""

    @property
    def webhooks(self) -> WebhookFormat: ...
    def routes(self, deliveries: Deliveries) -> list[Route]: ...


@dataclass(frozen=True)
class Account:
    """A client's account at a running simulator. region_url: of the second port, if there is one."""

    url: str
    region_url: str
    key: str
    user_id: str


@dataclass(frozen=True)
class WebhookSecret:
    """A secret that accounts read from the provider: the Darkroom setting for it, and its path."""

    setting: str
    path: str


@dataclass(frozen=True)
class SimulatedProvider:
    """What the server needs to know about a provider. Each provider.py has one, as PROVIDER.

    port_order: the position of its port among those of `python -m simulator all`; a new one comes last.
    client_settings: the environment variables that point a Darkroom at it.
    result_seconds: how long the addresses of a result are valid after its job's end; None means always.
    signs_urls: whether those addresses carry their expiry and a signature.
    webhook_retry_seconds: pauses between attempts to deliver a webhook.
    has_region: whether it listens on a second port, for requests to its regional host.
    """

    name: str
    port_order: int
    make: Callable[[Context], Provider]
    faults: FaultKinds
    client_settings: Callable[[Account], Mapping[str, str]]
    result_seconds: float | None = None
    signs_urls: bool = False
    webhook_retry_seconds: tuple[float, ...] = (1, 2, 5, 10, 20, 40, 40)
    has_region: bool = False
    webhook_secret: WebhookSecret | None = None
