"""fal: its routes, its webhooks and its SimulatedProvider."""

from starlette.routing import Route

from simulator.core.delivery import Deliveries
from simulator.core.provider import Account, Context, SimulatedProvider
from simulator.fal import faults
from simulator.fal.routes import Queue
from simulator.fal.submit import SubmitHandler
from simulator.fal.webhooks import FalWebhooks, Signer


class Fal:
    """One fal account."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._signer = Signer(context.store.secret("fal_webhook_seed"))
        self.webhooks = FalWebhooks(self._signer, context.options.user_id, context.files)

    def routes(self, deliveries: Deliveries) -> list[Route]:
        return Queue(self._context, SubmitHandler(self._context, deliveries), self._signer).routes


def _client_settings(account: Account) -> dict[str, str]:
    return {
        "FAL_KEY": account.key,
        "FAL_USER_ID": account.user_id,
        "FAL_QUEUE_URL": account.url,
        "FAL_JWKS_URL": f"{account.url}/.well-known/jwks.json",
        "FAL_RESULT_HOSTS": account.url,
    }


PROVIDER = SimulatedProvider(
    name="fal",
    port_order=0,
    make=Fal,
    faults=faults.KINDS,
    client_settings=_client_settings,
)
