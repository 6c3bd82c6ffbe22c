"""The composition root: the only package that imports adapters and settings, and chooses between them."""

from composition.event_loop import new_event_loop
from composition.settings import ServiceSettings

__all__ = ["ServiceSettings", "new_event_loop", "read_settings"]


def read_settings() -> ServiceSettings:
    """Read every setting from the environment. Raises ValidationError naming each that is wrong."""
    return ServiceSettings()
