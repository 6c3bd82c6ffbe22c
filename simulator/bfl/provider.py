"""Black Forest Labs, put together from its parts."""

from starlette.routing import Route

from simulator.bfl.routes import Routes
from simulator.bfl.submit import Desk
from simulator.bfl.webhooks import BflWebhooks
from simulator.delivery import Deliveries
from simulator.provider import Workbench


class Bfl:
    """One Black Forest Labs account."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.webhooks = BflWebhooks(bench.files)

    def routes(self, deliveries: Deliveries) -> list[Route]:
        return Routes(self._bench, Desk(self._bench, deliveries)).all
