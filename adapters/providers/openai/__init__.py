"""OpenAI: adapter, settings and error table."""
