"""How many files and sockets this process may have open."""

import resource
from contextlib import suppress

# More than the default limits need. Linux often allows a million, and some programs loop over all of them.
_MAX_WANTED = 65_536
# The highest that macOS takes without a change of its kernel's settings, whatever it says the hard limit is.
_MACOS_MAX = 10_240


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors as far as the system allows; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _MAX_WANTED if hard == resource.RLIM_INFINITY else min(hard, _MAX_WANTED)
    for wanted in (allowed, min(allowed, _MACOS_MAX)):
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            break
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_WANTED if soft == resource.RLIM_INFINITY else soft
