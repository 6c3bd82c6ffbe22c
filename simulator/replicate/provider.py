"""Replicate, put together from its parts."""

from starlette.routing import Route

from simulator.delivery import Deliveries
from simulator.provider import Workbench
from simulator.replicate.routes import Routes
from simulator.replicate.submit import Desk
from simulator.replicate.uploads import Uploads
from simulator.replicate.webhooks import ReplicateWebhooks, Signer

_KEY_BYTES = 24


class Replicate:
    """One Replicate account."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._signer = Signer(bench.store.secret("replicate_webhook_key")[:_KEY_BYTES])
        self._uploads = Uploads(bench.options.state / "replicate-files")
        self.webhooks = ReplicateWebhooks(self._signer, bench.files)

    def routes(self, deliveries: Deliveries) -> list[Route]:
        desk = Desk(self._bench, deliveries, self._uploads)
        return Routes(self._bench, desk, self._uploads, self._signer, deliveries.wake).all
