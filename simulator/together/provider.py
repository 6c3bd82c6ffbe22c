"""Together: its routes, its webhooks and its SimulatedProvider."""

from starlette.routing import Route

from simulator.core.delivery import Deliveries
from simulator.core.provider import Account, Context, SimulatedProvider
from simulator.core.synchronous.no_webhooks import NoWebhooks
from simulator.core.synchronous.render_pool import RenderPool
from simulator.core.synchronous.submit_handler import SubmitHandler
from simulator.together import faults
from simulator.together.routes import Generations


class Together:
    """One Together account."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.webhooks = NoWebhooks()

    def routes(self, deliveries: Deliveries) -> list[Route]:
        wire_format = Generations(self._context.options.key, self._context.files)
        handler = SubmitHandler(self._context, wire_format, RenderPool())
        return [Route("/v1/images/generations", handler.serve, methods=["POST"])]


def _client_settings(account: Account) -> dict[str, str]:
    return {"TOGETHER_API_KEY": account.key, "TOGETHER_URL": f"{account.url}/v1"}


PROVIDER = SimulatedProvider(
    name="together",
    port_order=5,
    make=Together,
    faults=faults.KINDS,
    client_settings=_client_settings,
)
