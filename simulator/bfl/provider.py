"""Black Forest Labs: its routes, its webhooks and its SimulatedProvider."""

from starlette.routing import Route

from simulator.bfl import faults
from simulator.bfl.routes import Routes
from simulator.bfl.submit import SubmitHandler
from simulator.bfl.webhooks import BflWebhooks
from simulator.core.delivery import Deliveries
from simulator.core.provider import Account, Context, SimulatedProvider


class Bfl:
    """One Black Forest Labs account."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.webhooks = BflWebhooks(context.files)

    def routes(self, deliveries: Deliveries) -> list[Route]:
        return Routes(self._context, SubmitHandler(self._context, deliveries)).all


def _client_settings(account: Account) -> dict[str, str]:
    return {
        "BFL_API_KEY": account.key,
        "BFL_URL": account.url,
        "BFL_POLLING_HOSTS": account.region_url,
        "BFL_RESULT_HOSTS": f"{account.url},{account.region_url}",
    }


PROVIDER = SimulatedProvider(
    name="bfl",
    port_order=2,
    make=Bfl,
    faults=faults.KINDS,
    client_settings=_client_settings,
    result_seconds=600,
    signs_urls=True,
    webhook_retry_seconds=(1, 5, 30),
    has_region=True,
)
