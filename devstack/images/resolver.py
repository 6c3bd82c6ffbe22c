"""`python -m devstack.images.resolver ADDRESS`: answers every name with "there is none", on UDP port 53.

Docker's own resolver knows the containers and asks the machine's for the rest. Where that one never answers,
programs that look for optional records wait for it: Temporal's CLI does, longer than its commands may take.
"""

import asyncio
import socket
import sys

from devstack.process.log import log
from runtime import process

PORT = 53
MAX_QUERY_BYTES = 1500
_HEADER_BYTES = 12
# A response, recursion available, the name does not exist; one question and nothing else.
_NO_SUCH_NAME = b"\x81\x83\x00\x01" + b"\x00" * 6
# Linux: an address that a bridge will have only once the set is up.
_IP_FREEBIND = 15


def response(query: bytes) -> bytes | None:
    """Return "no such name" for the first question of a query; None if it has none."""
    end = _HEADER_BYTES
    while end < len(query) and query[end]:
        end += query[end] + 1
    end += 1 + 4  # the root's empty label, then type and class
    if end > len(query):
        return None
    return query[:2] + _NO_SUCH_NAME + query[_HEADER_BYTES:end]


async def serve(stop: asyncio.Event) -> int:
    (address,) = sys.argv[1:]
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    listener.setblocking(False)
    listener.bind((address, PORT))
    asyncio.get_running_loop().add_reader(listener, _answer, listener)
    log(f"answers on {address}")
    await stop.wait()
    listener.close()
    return 0


def _answer(listener: socket.socket) -> None:
    try:
        query, sender = listener.recvfrom(MAX_QUERY_BYTES)
        if (answer := response(query)) is not None:
            listener.sendto(answer, sender)
    except OSError:  # the sender is gone, or the bridge is not there yet
        return


if __name__ == "__main__":
    process.run(serve)
