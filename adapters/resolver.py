"""Looks names up in threads of its own, so that a name that is slow to resolve delays nothing else.

`getaddrinfo` can be neither ended nor given a time limit: one that hangs keeps its thread. In the event
loop's default executor, which asyncio takes, a few such names stop all other work of that executor.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Thread
from typing import Any
from weakref import WeakValueDictionary

# What `socket.getaddrinfo` returns.
Answers = list[tuple[Any, ...]]

_on_behalf_of: ContextVar[str] = ContextVar("on_behalf_of", default="")


@contextmanager
def on_behalf_of(tenant_id: str) -> Iterator[None]:
    """Count the look-ups of the block towards a tenant's share; those of nobody, towards their host's."""
    token = _on_behalf_of.set(tenant_id)
    try:
        yield
    finally:
        _on_behalf_of.reset(token)


class Resolver:
    """Resolves names, a bounded number at once. Belongs to one event loop.

    max_lookups: of all together. A look-up counts until its thread has ended, also when nobody waits for it
    any more. Threads are never waited for, not even when the process ends.
    max_share: of these, of one tenant, or of one host where no tenant is behind it.
    timeout_seconds: for one look-up, from when it is asked for.
    """

    def __init__(self, *, max_lookups: int, max_share: int, timeout_seconds: float) -> None:
        self._threads = asyncio.Semaphore(max_lookups)
        self._max_share = max_share
        self._timeout_seconds = timeout_seconds
        # A share is dropped with the last look-up that runs or waits.
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def getaddrinfo(self, host: str | None, *arguments: Any) -> Answers:
        """Return what `socket.getaddrinfo` returns.

        Raises what that raises, and OSError if there is no answer in time.
        """
        tenant_id = _on_behalf_of.get()
        key = f"tenant {tenant_id}" if tenant_id else f"host {host}"
        share = self._shares.setdefault(key, asyncio.Semaphore(self._max_share))
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await share.acquire()
                # Last, so that those who wait for their own share keep no thread from the others.
                await _acquire(self._threads, share)
                return await self._start(share, host, *arguments)
        except TimeoutError as error:
            message = f"no answer within {self._timeout_seconds:g} s"
            raise socket.gaierror(socket.EAI_AGAIN, message) from error

    def _start(self, share: asyncio.Semaphore, *arguments: Any) -> asyncio.Future[Answers]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answers] = loop.create_future()

        def finish(found: Answers | Exception) -> None:
            self._threads.release()
            share.release()
            if answer.done():  # nobody waits any more
                return
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found: Answers | Exception
            try:
                found = list(socket.getaddrinfo(*arguments))
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                found = error
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, found)

        try:
            Thread(target=look_up, name="resolver", daemon=True).start()
        except RuntimeError as error:
            finish(OSError(f"no thread could be started: {error}"))
        return answer


async def _acquire(threads: asyncio.Semaphore, share: asyncio.Semaphore) -> None:
    try:
        await threads.acquire()
    except BaseException:
        share.release()
        raise


class ResolvingEventLoop(asyncio.SelectorEventLoop):
    """An event loop that resolves the names of all its connections with a Resolver."""

    def __init__(self, resolver: Resolver) -> None:
        super().__init__()
        self._resolver = resolver

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Resolve, as `asyncio` asks for it. Raises OSError."""
        name = host.decode() if isinstance(host, bytes) else host
        return await self._resolver.getaddrinfo(name, port, family, type, proto, flags)
