"""The state of the installation in /metrics."""

from tests.integration.api.service import Service, Tenant, unique
from tests.support.eventually import eventually


async def test_metrics_have_the_state_of_the_installation(service: Service, tenant: Tenant) -> None:
    operator = await service.client(service.internal_url)
    posted = await tenant.posted(unique("a lamp [sim:hang]"))
    await tenant.generating(posted["id"])

    async def is_counted() -> bool:
        text = (await operator.get("/metrics")).text
        return all(
            f"darkroom_{name}" in text
            for name in (
                'open_generations{stage="generating"}',
                'oldest_open_seconds{stage="generating"}',
                'slots{provider="fal",state="in_use"}',
                'held_credits{tenants="all"}',
                'flagged_generations{tenants="all"}',
                'uncharged_credits{tenants="all"}',
                'uncharged_credits{tenants="max"}',
                'usage_events_unsent{receiver="billing"}',
                'usage_events_oldest_seconds{receiver="billing"}',
                'books_disagreements{check="balance"}',
                'books_checked_age_seconds{tenants="all"}',
            )
        )

    # They are read again after ten seconds at the latest.
    await eventually(is_counted, timeout_seconds=20)
    await tenant.http.post(f"/v1/generations/{posted['id']}/cancel")
    await tenant.ended(posted["id"])
