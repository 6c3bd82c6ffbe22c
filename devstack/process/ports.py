"""Free TCP ports on the loopback interface."""

import random
import socket
from collections.abc import Container

# Below the range from which Linux and macOS take ports for outgoing connections: a port that a stack wants
# back after a restart must not have been lent to some client in the meantime.
FIRST, LAST = 15_000, 28_000
ATTEMPTS_MAX = 1_000


def is_free(port: int) -> bool:
    """Return whether a server could listen there now. Connections in TIME_WAIT do not count as taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return not accepts_connections("127.0.0.1", port)


def pick_free(taken: Container[int] = ()) -> int:
    """Return a free port that is not in `taken`; random, so that two starting stacks rarely collide."""
    for _ in range(ATTEMPTS_MAX):
        port = random.randrange(FIRST, LAST)  # noqa: S311 - a port is not a secret
        if port not in taken and is_free(port):
            return port
    raise OSError(f"no free TCP port between {FIRST} and {LAST}")


def accepts_connections(host: str, port: int, timeout_seconds: float = 1.0) -> bool:
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds):
            return True
    except OSError:
        return False
