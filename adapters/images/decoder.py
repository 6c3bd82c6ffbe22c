"""One child process that decodes one image at a time.

It is a new program and no fork: a copy of a process with threads and a Temporal client may hang. It has none
of our environment, so none of our secrets, and ends when this process closes its input, however that ends.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from adapters.images.messages import (
    MAX_LINE_BYTES,
    READY,
    DecodeLimits,
    DecodeReply,
    DecodeRequest,
    MessageError,
    read_reply,
)
from domain.errors import ImageDecoderUnavailable, ResultUnusable

_ROOT = Path(__file__).parents[2]
# Of an idle machine's tenth of a second.
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
# Only what the interpreter itself may need to start.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
_WATCH_SECONDS = 0.1
_KIBIBYTE = 1024


class DecoderDied(Exception):
    """The child ended, or said something that is no reply, and not for a limit of ours."""


class DecoderKilled(DecoderDied):
    """The system killed the child, which says nothing of the image: it may be for the memory of others."""


class Decoder:
    """A running child. After any error of `run` it is dead."""

    def __init__(self, process: asyncio.subprocess.Process, limits: DecodeLimits) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._limits = limits
        self._is_over_memory = False

    @classmethod
    async def start(cls, limits: DecodeLimits) -> Self:
        """Raises ImageDecoderUnavailable."""
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "adapters.images.child",
                limits.to_json(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=_ROOT,
                env=environment | {"LC_ALL": "C.UTF-8"},
                limit=MAX_LINE_BYTES,
            )
        except OSError as error:
            raise ImageDecoderUnavailable(f"no child process: {error}") from error
        decoder = cls(process, limits)
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await decoder._stdout.readline()
        except BaseException as error:
            await decoder.kill()
            if isinstance(error, TimeoutError | ValueError):
                raise ImageDecoderUnavailable("a child process did not start in time") from error
            raise
        if line != READY:
            await decoder.kill()
            raise ImageDecoderUnavailable("a child process ended as it started")
        return decoder

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def run(self, request: DecodeRequest) -> DecodeReply:
        """Return what the child found.

        Raises ResultUnusable if the image needs more memory or processor time than it may, DecoderDied or
        DecoderKilled, and ImageDecoderUnavailable if the machine gave the child no time to run.
        """
        watch = None if self._limits.limits_address_space else asyncio.create_task(self._watch_memory())
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                with suppress(ConnectionError):  # it has ended, which is explained below
                    self._stdin.write(request.to_line())
                    await self._stdin.drain()
                line = await self._stdout.readline()
                return read_reply(line) if line else await self._explain_end()
        except TimeoutError as error:
            await self.kill()
            raise ImageDecoderUnavailable(f"no image within {self._limits.wall_seconds:g} s") from error
        except (MessageError, ValueError) as error:  # ValueError: a line over the cap
            await self.kill()
            raise DecoderDied(type(error).__name__) from error
        except asyncio.CancelledError:
            await self.kill()
            raise
        finally:
            if watch is not None:
                watch.cancel()

    async def stop(self) -> None:
        """Let the child end by itself; kill it if it does not."""
        self._stdin.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._reap()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        if self.is_alive:
            self._process.kill()
        self._stdin.close()
        await self._reap()

    async def _reap(self) -> None:
        # asyncio does not see the end of a process whose output is not read to its end.
        while await self._stdout.read(MAX_LINE_BYTES):
            pass
        await self._process.wait()

    async def _explain_end(self) -> DecodeReply:
        code = await self._process.wait()
        if self._is_over_memory:
            raise ResultUnusable(f"decoding it takes over {self._limits.memory_bytes} bytes")
        if code == -signal.SIGXCPU:
            raise ResultUnusable(f"decoding it takes over {self._limits.cpu_seconds:g} s")
        if code == -signal.SIGKILL:
            raise DecoderKilled("killed by the system")
        raise DecoderDied(f"exit {code}")

    async def _watch_memory(self) -> None:
        """Kill a child that is over its memory, where the kernel does not refuse it."""
        before = await resident_bytes(self.process_id)
        while self.is_alive:
            await asyncio.sleep(_WATCH_SECONDS)
            if await resident_bytes(self.process_id) - before > self._limits.memory_bytes:
                self._is_over_memory = True
                self._process.kill()


async def resident_bytes(process_id: int) -> int:
    """Return the memory of a process as `ps` knows it, which every Unix has; 0 if it has ended."""
    process = await asyncio.create_subprocess_exec(
        "ps", "-o", "rss=", "-p", str(process_id), stdout=asyncio.subprocess.PIPE
    )
    found, _ = await process.communicate()
    return int(found.strip() or 0) * _KIBIBYTE
