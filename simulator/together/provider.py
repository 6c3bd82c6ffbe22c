"""Together, put together from its parts."""

from starlette.routing import Route

from simulator.delivery import Deliveries
from simulator.provider import Workbench
from simulator.synchronous.desk import Desk
from simulator.synchronous.no_webhooks import NoWebhooks
from simulator.synchronous.painters import Painters
from simulator.together.images import Generations


class Together:
    """One Together account."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.webhooks = NoWebhooks()

    def routes(self, deliveries: Deliveries) -> list[Route]:
        dialect = Generations(self._bench.options.key, self._bench.files)
        desk = Desk(self._bench, dialect, Painters())
        return [Route("/v1/images/generations", desk.serve, methods=["POST"])]
