"""Preparing a Temporal that does not let us create search attributes."""

from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from admin.bootstrap import register_search_attributes


class NoOperatorService:
    """A client of a Temporal whose operator service answers with this status."""

    namespace = "mine.abc12"

    def __init__(self, status: RPCStatusCode) -> None:
        self._status = status

    @property
    def operator_service(self) -> "NoOperatorService":
        return self

    async def list_search_attributes(self, *_: Any, **__: Any) -> None:
        raise RPCError("unknown service", self._status, b"")


@pytest.mark.parametrize("status", [RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED])
async def test_what_is_to_be_created_by_hand_is_named(
    status: RPCStatusCode, caplog: pytest.LogCaptureFixture
) -> None:
    missing = await register_search_attributes(cast("Client", NoOperatorService(status)))
    assert missing == ["DarkroomModel", "DarkroomProvider", "DarkroomStage", "DarkroomTenant"]
    assert (
        "create DarkroomModel, DarkroomProvider, DarkroomStage, DarkroomTenant, of type Keyword"
        in caplog.text
    )


async def test_any_other_failure_is_raised() -> None:
    with pytest.raises(RPCError):
        await register_search_attributes(cast("Client", NoOperatorService(RPCStatusCode.UNAVAILABLE)))
