"""Replicate: adapter, webhooks, settings and error table."""
