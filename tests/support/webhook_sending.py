"""The activities of deliveries on the real database, with the secrets of tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from activities.deliveries import DeliveryActivities, DeliveryPolicy
from adapters.database.deliveries import PostgresDeliveries
from adapters.database.engine import Database
from adapters.database.generations import PostgresGenerations
from adapters.database.sealed import Sealer
from domain.keyring import Keyring
from domain.ports.webhooks import WebhookSender
from domain.webhook_bodies import webhook_body
from domain.webhooks import WebhookResponse

KEYRING = Keyring.of("a master key that only these tests use")
SUCCESS = WebhookResponse(204, None, 1)


@dataclass
class ScriptedSender:
    """Answers with these responses, then with the last one again; keeps what was sent."""

    responses: Sequence[WebhookResponse] = (SUCCESS,)
    sent: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    async def send_webhook(
        self, url: str, headers: Mapping[str, str], body: bytes, *, tenant_id: str
    ) -> WebhookResponse:
        self.sent.append((url, headers, body))
        return self.responses[min(len(self.sent), len(self.responses)) - 1]


def delivery_activities_of(
    database: Database,
    sender: WebhookSender | None = None,
    policy: DeliveryPolicy | None = None,
) -> DeliveryActivities:
    return DeliveryActivities(
        PostgresDeliveries(database, Sealer(KEYRING)),
        PostgresGenerations(database),
        sender or ScriptedSender(),
        lambda delivery, generation: webhook_body(
            delivery, generation, "https://api.test", lambda *_: "https://api.test/image"
        ),
        policy or DeliveryPolicy(),
    )
