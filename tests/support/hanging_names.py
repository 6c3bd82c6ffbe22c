"""Names whose resolver does not answer until the test lets it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any

import pytest

SUFFIX = ".hangs.test"


class HangingNames:
    """What stands in for `socket.getaddrinfo`. hanging: how many threads are inside it now."""

    def __init__(self) -> None:
        self.hanging = 0
        self._release = Event()
        self._lock = Lock()
        self._getaddrinfo = socket.getaddrinfo

    def getaddrinfo(self, host: Any, *arguments: Any, **options: Any) -> Any:
        if not str(host).endswith(SUFFIX):
            return self._getaddrinfo(host, *arguments, **options)
        with self._lock:
            self.hanging += 1
        self._release.wait()
        with self._lock:
            self.hanging -= 1
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    def release(self) -> None:
        """Answer all of them."""
        self._release.set()


@contextmanager
def hanging_names() -> Iterator[HangingNames]:
    """Let every name under SUFFIX hang, in this process."""
    names = HangingNames()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", names.getaddrinfo)
        try:
            yield names
        finally:
            names.release()
