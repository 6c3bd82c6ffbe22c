"""Bodies of responses as they arrive: under a cap, and unpacked.

No content encoding is asked for; some hosts and proxies use or name one all the same.
"""

import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator

from adapters.transport.errors import HttpError, ResponseTooLarge

_COMPRESSED = ("gzip", "x-gzip", "deflate")
# What stores and uploaders leave in the header, and which changes no byte.
_UNCHANGED = ("", "identity", "none", "binary", "aws-chunked", "utf-8")
_EITHER_HEADER = zlib.MAX_WBITS | 32
_PIECE_BYTES = 1 << 16
_FIRST_BYTES = (0x1F, 0x78)


class UnknownEncodingError(ValueError):
    """The encoding is not one that can be decoded within bounds."""


class BrokenBodyError(ValueError):
    """The body was cut, or is not what its encoding says."""


class Body:
    """Decodes the chunks of one body in small pieces. Raises UnknownEncodingError, BrokenBodyError."""

    def __init__(self, encoding: str) -> None:
        names = [name.strip() for name in encoding.lower().split(",")]
        names = [name for name in names if name not in _UNCHANGED]
        if len(names) > 1 or any(name not in _COMPRESSED for name in names):
            raise UnknownEncodingError("a content encoding that was not asked for")
        self._inflater = zlib.decompressobj(_EITHER_HEADER) if names else None
        self._is_begun = False

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        # An image that is only said to be compressed is passed on as it is.
        if not self._is_begun and chunk and chunk[0] not in _FIRST_BYTES:
            self._inflater = None
        self._is_begun = self._is_begun or bool(chunk)
        if self._inflater is None:
            yield chunk
            return
        while chunk and not self._inflater.eof:
            try:
                yield self._inflater.decompress(chunk, _PIECE_BYTES)
            except zlib.error as error:
                raise BrokenBodyError("its compression is broken") from error
            chunk = self._inflater.unconsumed_tail

    def end(self) -> None:
        """Note that no chunk is left."""
        if self._inflater is not None and not self._inflater.eof:
            raise BrokenBodyError("its compression has no end")


async def capped(chunks: AsyncIterable[bytes], body: Body, max_bytes: int | None) -> AsyncIterator[bytes]:
    """Decode a body, and end it when it grows over the cap. Raises HttpError."""
    total = 0
    try:
        async for chunk in chunks:
            for piece in body.pieces(chunk):
                total += len(piece)
                if max_bytes is not None and total > max_bytes:
                    raise ResponseTooLarge(f"response over {max_bytes} bytes")
                yield piece
        body.end()
    except BrokenBodyError as error:
        raise HttpError(f"response: {error}") from error
