"""Ids of ours: a prefix that says what it is, then the time, so that lists and indexes stay in order."""

import secrets
import time


def new_id(prefix: str) -> str:
    """Such as `gen_` and 32 hex digits: 48 bits of milliseconds, 80 random bits."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
