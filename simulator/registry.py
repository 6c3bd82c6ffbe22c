"""Every simulated provider: each folder here whose provider.py has a PROVIDER."""

import importlib
import pkgutil

import simulator
from simulator.core.provider import SimulatedProvider


def _discover() -> dict[str, SimulatedProvider]:
    """Return the providers by name, in the order of their ports."""
    folders = [found.name for found in pkgutil.iter_modules(simulator.__path__) if found.ispkg]
    modules = [importlib.import_module(f"simulator.{name}.provider") for name in folders]
    found = [module.PROVIDER for module in modules if hasattr(module, "PROVIDER")]
    return {provider.name: provider for provider in sorted(found, key=lambda each: each.port_order)}


PROVIDERS = _discover()
