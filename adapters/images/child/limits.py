"""What the kernel lets this process use, for all images and for one."""

import os
import resource
from math import ceil
from pathlib import Path

from adapters.images.messages import DecodeLimits

_STATM = Path("/proc/self/statm")
# Besides the picture: the bytes of the file, twice where metadata is removed, and of its parts.
_BESIDES_BYTES = 128 << 20
# On a busy machine the processes that answer, here and elsewhere, come first.
_NICENESS = 5
# Memory that is still held after an image: its allocator keeps it, and would for ever.
_MAX_KEPT_BYTES = 64 << 20


class ProcessLimits:
    """Limits this process from now on, relative to what it has used to start."""

    def __init__(self, limits: DecodeLimits) -> None:
        self._cpu_seconds = limits.cpu_seconds
        self._resident_before = _pages(1)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.nice(_NICENESS)
        _lower(resource.RLIMIT_NOFILE, 32)
        _lower(resource.RLIMIT_FSIZE, limits.memory_bytes)
        if limits.limits_address_space:
            _lower(resource.RLIMIT_AS, _pages(0) + limits.memory_bytes + _BESIDES_BYTES)

    def begin_image(self) -> None:
        """Give the next image its processor time; SIGXCPU ends a process that has used it up."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = ceil(used.ru_utime + used.ru_stime + self._cpu_seconds)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))

    def is_memory_kept(self) -> bool:
        """Return whether this process is still large; always False where the system does not tell."""
        return _pages(1) - self._resident_before > _MAX_KEPT_BYTES


def _lower(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def _pages(field: int) -> int:
    """Return bytes of address space (0) or of resident memory (1)."""
    try:
        return int(_STATM.read_text().split()[field]) * resource.getpagesize()
    except OSError:
        return 0
