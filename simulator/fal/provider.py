"""fal, put together from its parts."""

from starlette.routing import Route

from simulator.delivery import Deliveries
from simulator.fal.queue import Queue
from simulator.fal.submit import Desk
from simulator.fal.webhooks import FalWebhooks, Signer
from simulator.provider import Workbench


class Fal:
    """One fal account."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._signer = Signer(bench.store.secret("fal_webhook_seed"))
        self.webhooks = FalWebhooks(self._signer, bench.options.user_id, bench.files)

    def routes(self, deliveries: Deliveries) -> list[Route]:
        return Queue(self._bench, Desk(self._bench, deliveries), self._signer).routes
