"""Together AI: adapter, settings and error table."""
