"""HTTP/1.1 without bodies in crumbs: a chunk of one byte takes as long to parse as one of a megabyte."""

import h11

# Where whole chunks are on average smaller, and there are more than these, somebody wants to keep us busy.
_MIN_CHUNK_BYTES = 256
_MAX_SMALL_CHUNKS = 256


class BoundedH11Connection(h11.Connection):
    """Refuses the body of a request that comes in too many chunks for its size."""

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(h11.SERVER, max_head_bytes)
        self._chunks = 0
        self._body_bytes = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Raises RemoteProtocolError, also for too many small chunks."""
        event = super().next_event()
        if isinstance(event, h11.Data):
            self._body_bytes += len(event.data)
            self._chunks += event.chunk_end
            allowed = _MAX_SMALL_CHUNKS + self._body_bytes // _MIN_CHUNK_BYTES
            if self._chunks > allowed:
                raise h11.RemoteProtocolError("too many small chunks")
        return event

    def start_next_cycle(self) -> None:
        super().start_next_cycle()
        self._chunks = self._body_bytes = 0
