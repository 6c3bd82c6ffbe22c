"""Parameters of libpq that DATABASE_URL may have, and what asyncpg is told of them."""

import logging

import pytest

from adapters.database.dsn import async_engine, checked_dsn

URL = "postgresql://darkroom:secret@db.example.com/darkroom"
# As managed servers show it.
MANAGED = f"{URL}?sslmode=require&channel_binding=require"


@pytest.mark.parametrize(
    "parameter",
    [
        "channel_binding=disable",
        "channel_binding=prefer",
        "gssencmode=disable",
        "gssencmode=prefer",
        "requirepeer=",
        "connect_timeout=10",
    ],
)
async def test_what_asks_for_nothing_is_left_out_in_silence(
    parameter: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert checked_dsn(f"{URL}?{parameter}&sslmode=require") == f"{URL}?sslmode=require"

    await async_engine(f"{URL}?{parameter}").dispose()

    assert not caplog.records


@pytest.mark.parametrize("parameter", ["gssencmode=require", "requirepeer=postgres"])
def test_a_protection_that_cannot_be_had_is_refused_by_its_name(parameter: str) -> None:
    with pytest.raises(ValueError, match=f"^DATABASE_URL: {parameter} is not possible here") as raised:
        checked_dsn(f"{URL}?{parameter}")

    assert "secret" not in str(raised.value)


async def test_the_address_that_a_managed_server_shows_works_and_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert checked_dsn(MANAGED) == f"{URL}?sslmode=require"

    await async_engine(MANAGED).dispose()

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "channel_binding=require" in record.getMessage()
    assert "secret" not in record.getMessage()
