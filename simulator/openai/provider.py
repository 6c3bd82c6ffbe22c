"""OpenAI: its routes, its webhooks and its SimulatedProvider."""

from starlette.routing import Route

from simulator.core.delivery import Deliveries
from simulator.core.provider import Account, Context, SimulatedProvider
from simulator.core.synchronous.no_webhooks import NoWebhooks
from simulator.core.synchronous.render_pool import RenderPool
from simulator.core.synchronous.submit_handler import SubmitHandler
from simulator.openai import faults
from simulator.openai.moderations import Moderations
from simulator.openai.routes import Edits, Generations


class OpenAI:
    """One OpenAI account."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.webhooks = NoWebhooks()

    def routes(self, deliveries: Deliveries) -> list[Route]:
        key, render_pool = self._context.options.key, RenderPool()
        generations = SubmitHandler(self._context, Generations(key, render_pool), render_pool)
        edits = SubmitHandler(self._context, Edits(key, render_pool), render_pool)
        moderations = Moderations(self._context)
        return [
            Route("/v1/images/generations", generations.serve, methods=["POST"]),
            Route("/v1/images/edits", edits.serve, methods=["POST"]),
            Route("/v1/moderations", moderations.serve, methods=["POST"]),
        ]


def _client_settings(account: Account) -> dict[str, str]:
    return {"OPENAI_API_KEY": account.key, "OPENAI_URL": f"{account.url}/v1"}


PROVIDER = SimulatedProvider(
    name="openai",
    port_order=4,
    make=OpenAI,
    faults=faults.KINDS,
    client_settings=_client_settings,
)
