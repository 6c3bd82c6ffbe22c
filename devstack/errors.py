"""What can stop a stack, each with a message that a person can act on.

StackError
├── InstallFailed    a server is missing and could not be fetched or built
├── NotReady         a server was started and did not answer in time, or died
└── AlreadyRunning   another process holds the data directory
Interrupted          a person asked us to stop; not a failure
"""


class StackError(Exception):
    """The stack cannot go on, and the message says why."""


class InstallFailed(StackError):
    """A server is missing and could not be fetched or built."""


class NotReady(StackError):
    """A server was started and did not answer in time, or died."""


class AlreadyRunning(StackError):
    """Another process holds the data directory."""


class Interrupted(Exception):
    """INT, TERM or HUP arrived; raised only where waiting can end safely."""
