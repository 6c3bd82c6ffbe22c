"""Opening a provider that is closed."""

from activities.provider_slots import SlotGranter
from composition import ServiceSettings
from composition.repositories import Database, catalog, provider_slots
from composition.temporal import temporal_client, workflow_client


async def open_provider(settings: ServiceSettings, pool: Database, provider: str) -> int:
    """Forget why it is closed, and let all that were pushed back ask again; return how many got a slot.

    Those that cannot be signaled now are signaled by the reconciler. Raises ValueError for an unknown name.
    """
    known = catalog(settings).providers
    if provider not in known:
        raise ValueError(f"no provider {provider}; there are {', '.join(sorted(known))}")
    client = await temporal_client(settings, lazy=True)
    granter = SlotGranter(provider_slots(settings, pool), workflow_client(settings, client))
    return await granter.open(provider)
