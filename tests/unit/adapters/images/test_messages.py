"""What a child says is checked: it has read bytes of strangers."""

import json
from typing import Any

import pytest

from adapters.images.messages import (
    DecodeLimits,
    DecodeReply,
    DecodeRequest,
    MessageError,
    read_limits,
    read_reply,
    read_request,
)
from domain.input_files import ImageFacts

FACTS = ImageFacts(96, 64, "image/png", 1234, "ab" * 32, has_alpha=True)
REPLY = DecodeReply(facts=FACTS, source_sha256="cd" * 32, is_rewritten=True, is_last=True)


@pytest.mark.parametrize(
    "reply", [REPLY, DecodeReply(error="no"), DecodeReply(outage="full"), DecodeReply(is_rewritten=True)]
)
def test_a_reply_arrives_as_it_was_sent(reply: DecodeReply) -> None:
    assert read_reply(reply.to_line()) == reply


def test_requests_and_limits_arrive_as_they_were_sent() -> None:
    request = DecodeRequest("/tmp/\udcff\n", "b", is_upright_wanted=True, is_stripped=False)  # noqa: S108
    limits = DecodeLimits(1, 2, 3.5, limits_address_space=False, max_images=4)

    assert request.to_line().count(b"\n") == 1
    assert read_request(request.to_line()) == request
    assert read_limits(limits.to_json()) == limits


WRONG: list[dict[str, Any]] = [
    {"width": 0},
    {"width": -1},
    {"width": 1.5},
    {"width": True},
    {"width": "96"},
    {"height": 1 << 50},
    {"size_bytes": None},
    {"content_type": "text/html"},
    {"content_type": ["image/png"]},
    {"sha256": "AB" * 32},
    {"sha256": "ab"},
    {"sha256": 5},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_facts_that_cannot_be_are_no_reply(wrong: dict[str, Any]) -> None:
    message = json.loads(REPLY.to_line())
    message["facts"] |= wrong
    with pytest.raises(MessageError):
        read_reply(json.dumps(message).encode())


@pytest.mark.parametrize("line", [b"", b"\xff", b"[]", b"5", b"{}", b"[" * 50_000, b'{"error": null}'])
def test_anything_else_is_no_reply(line: bytes) -> None:
    with pytest.raises(MessageError):
        read_reply(line)


def test_a_text_is_cut() -> None:
    reply = read_reply(DecodeReply(error="x" * 9999).to_line())
    assert len(reply.error or "") == 300
