"""Sortable ids: type prefix, timestamp, random bits."""

import secrets
import time


def new_id(prefix: str) -> str:
    """Return an id such as `gen_` and 32 hex digits: 48 bits of milliseconds, 80 random bits."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
