"""OpenAI, put together from its parts."""

from starlette.routing import Route

from simulator.delivery import Deliveries
from simulator.openai.images import Edits, Generations
from simulator.openai.moderations import Moderations
from simulator.provider import Workbench
from simulator.synchronous.desk import Desk
from simulator.synchronous.no_webhooks import NoWebhooks
from simulator.synchronous.painters import Painters


class OpenAI:
    """One OpenAI account."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.webhooks = NoWebhooks()

    def routes(self, deliveries: Deliveries) -> list[Route]:
        key, painters = self._bench.options.key, Painters()
        generations = Desk(self._bench, Generations(key, painters), painters)
        edits = Desk(self._bench, Edits(key, painters), painters)
        moderations = Moderations(self._bench)
        return [
            Route("/v1/images/generations", generations.serve, methods=["POST"]),
            Route("/v1/images/edits", edits.serve, methods=["POST"]),
            Route("/v1/moderations", moderations.serve, methods=["POST"]),
        ]
