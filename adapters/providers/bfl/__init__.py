"""Black Forest Labs: adapter, webhooks, settings and error table."""
