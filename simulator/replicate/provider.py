"""Replicate: its routes, its webhooks and its SimulatedProvider."""

from starlette.routing import Route

from simulator.core.delivery import Deliveries
from simulator.core.provider import Account, Context, SimulatedProvider, WebhookSecret
from simulator.replicate import faults
from simulator.replicate.routes import Routes
from simulator.replicate.submit import SubmitHandler
from simulator.replicate.uploads import Uploads
from simulator.replicate.webhooks import ReplicateWebhooks, Signer

_KEY_BYTES = 24


class Replicate:
    """One Replicate account."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._signer = Signer(context.store.secret("replicate_webhook_key")[:_KEY_BYTES])
        self._uploads = Uploads(context.options.state / "replicate-files")
        self.webhooks = ReplicateWebhooks(self._signer, context.files)

    def routes(self, deliveries: Deliveries) -> list[Route]:
        handler = SubmitHandler(self._context, deliveries, self._uploads)
        return Routes(self._context, handler, self._uploads, self._signer, deliveries.wake).all


def _client_settings(account: Account) -> dict[str, str]:
    return {
        "REPLICATE_API_TOKEN": account.key,
        "REPLICATE_URL": f"{account.url}/v1",
        "REPLICATE_RESULT_HOSTS": account.url,
    }


PROVIDER = SimulatedProvider(
    name="replicate",
    port_order=1,
    make=Replicate,
    faults=faults.KINDS,
    client_settings=_client_settings,
    result_seconds=3_600,
    webhook_retry_seconds=(1, 4, 15, 40),
    webhook_secret=WebhookSecret("REPLICATE_WEBHOOK_SECRETS", "/v1/webhooks/default/secret"),
)
