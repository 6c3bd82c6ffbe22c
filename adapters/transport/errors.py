"""How a request fails, whichever client sent it. No text of these holds an address or a key."""


class HttpError(Exception):
    """There is no whole response. The text says why."""


class NotConnected(HttpError):
    """No connection was made or free in time, so nothing was sent."""


class Unsendable(HttpError):
    """The request breaks the rules, and was refused before a byte of it was sent."""


class ResponseTooLarge(HttpError):
    """The response has more bytes than are read of any."""


class S3Error(Exception):
    """The store is away, or refuses. code: what the server says, or the name of what broke."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
