"""Gemini: its routes, its webhooks and its SimulatedProvider."""

from starlette.routing import Route

from simulator.core.delivery import Deliveries
from simulator.core.provider import Account, Context, SimulatedProvider
from simulator.core.synchronous.no_webhooks import NoWebhooks
from simulator.core.synchronous.render_pool import RenderPool
from simulator.core.synchronous.submit_handler import SubmitHandler
from simulator.gemini import faults
from simulator.gemini.routes import GenerateContent


class Gemini:
    """One project's key at the Gemini API."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.webhooks = NoWebhooks()

    def routes(self, deliveries: Deliveries) -> list[Route]:
        render_pool = RenderPool()
        handler = SubmitHandler(
            self._context, GenerateContent(self._context.options.key, render_pool), render_pool
        )
        return [
            # Clients of the third generation say v1, older ones and the documentation v1beta.
            Route(f"/{version}/models/{{model}}:generateContent", handler.serve, methods=["POST"])
            for version in ("v1beta", "v1")
        ]


def _client_settings(account: Account) -> dict[str, str]:
    return {"GEMINI_API_KEY": account.key, "GEMINI_URL": f"{account.url}/v1beta"}


PROVIDER = SimulatedProvider(
    name="gemini",
    port_order=3,
    make=Gemini,
    faults=faults.KINDS,
    client_settings=_client_settings,
)
