"""Gemini, put together from its parts."""

from starlette.routing import Route

from simulator.delivery import Deliveries
from simulator.gemini.content import GenerateContent
from simulator.provider import Workbench
from simulator.synchronous.desk import Desk
from simulator.synchronous.no_webhooks import NoWebhooks
from simulator.synchronous.painters import Painters


class Gemini:
    """One project's key at the Gemini API."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.webhooks = NoWebhooks()

    def routes(self, deliveries: Deliveries) -> list[Route]:
        painters = Painters()
        desk = Desk(self._bench, GenerateContent(self._bench.options.key, painters), painters)
        return [
            # Clients of the third generation say v1, older ones and the documentation v1beta.
            Route(f"/{version}/models/{{model}}:generateContent", desk.serve, methods=["POST"])
            for version in ("v1beta", "v1")
        ]
