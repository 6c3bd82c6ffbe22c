"""fal: adapter, webhooks, settings and error table."""
