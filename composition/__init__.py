"""The composition root: the only package that imports adapters and settings, and chooses between them."""

from composition.event_loop import new_event_loop
from composition.setting_problems import read_settings, refuse_unsafe
from composition.settings import ServiceSettings

__all__ = ["ServiceSettings", "new_event_loop", "read_settings", "refuse_unsafe"]
