"""The composition root: the only package that imports adapters and settings, and chooses between them."""

from settings import Settings

__all__ = ["Settings", "read_settings"]


def read_settings() -> Settings:
    """Read every setting from the environment. Raises ValidationError naming each that is wrong."""
    return Settings()
