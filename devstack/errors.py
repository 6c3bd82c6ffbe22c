"""The errors of a stack, each with a message that a user can act on.

StackError
├── InstallFailed    a server is missing and could not be fetched or built
├── NotReady         a server was started and did not respond in time, or died
└── AlreadyRunning   another process holds the data directory
Interrupted          a signal asked us to stop; not a failure
"""


class StackError(Exception):
    """The stack cannot continue; the message says why."""


class InstallFailed(StackError):
    """A server is missing and could not be fetched or built."""


class NotReady(StackError):
    """A server was started and did not respond in time, or died."""


class CheckFailed(StackError):
    """What was built and started is not as it should be."""


class AlreadyRunning(StackError):
    """Another process holds the data directory."""


class Interrupted(Exception):
    """INT, TERM or HUP arrived; raised only where it is safe to stop waiting."""
