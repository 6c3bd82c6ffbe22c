"""The event loop of every process."""

from asyncio import AbstractEventLoop

from adapters.resolver import Resolver, ResolvingEventLoop

_MAX_LOOKUPS, _MAX_LOOKUPS_PER_HOST, _LOOKUP_SECONDS = 64, 8, 10.0


def new_event_loop() -> AbstractEventLoop:
    """Return a loop on which a name that does not resolve holds up neither files nor other names.

    It resolves the hosts that an operator has set: database, providers, their keys. Those that clients and
    results bring have a resolver of their own (`adapters/storage/address_guard.py`).
    """
    return ResolvingEventLoop(
        Resolver(max_lookups=_MAX_LOOKUPS, max_share=_MAX_LOOKUPS_PER_HOST, timeout_seconds=_LOOKUP_SECONDS)
    )
