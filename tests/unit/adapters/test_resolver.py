"""Names that hang, in real threads: what goes on beside them, and what ends without them."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.resolver import Resolver, ResolvingEventLoop, on_behalf_of
from tests.support.eventually import eventually
from tests.support.hanging_names import SUFFIX, HangingNames, hanging_names
from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[3]
SOON, LATE = 0.05, 600.0
# Far more look-ups than any event loop's default executor has threads.
MANY = 100


@pytest.fixture
def names() -> Iterator[HangingNames]:
    with hanging_names() as names:
        yield names


def resolver(*, max_lookups: int = 8, max_share: int = 2, timeout_seconds: float = LATE) -> Resolver:
    return Resolver(max_lookups=max_lookups, max_share=max_share, timeout_seconds=timeout_seconds)


async def look_up(resolver: Resolver, tenant_id: str, host: str) -> str:
    """Return the first address, or the failure's name."""
    with on_behalf_of(tenant_id):
        try:
            [first, *_] = await resolver.getaddrinfo(host, 80, socket.AF_INET, socket.SOCK_STREAM)
        except OSError as error:
            return type(error).__name__
    return str(first[4][0])


def start(resolver: Resolver, tenant_id: str, count: int) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(look_up(resolver, tenant_id, f"{number}{SUFFIX}")) for number in range(count)]


async def stop(tasks: list[asyncio.Task[str]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_tenants_names_that_hang_take_its_share_and_no_more(names: HangingNames) -> None:
    names_of_all = resolver()
    waiting = start(names_of_all, "ten_slow", MANY)
    await eventually(lambda: names.hanging == 2)

    assert await look_up(names_of_all, "ten_other", "127.0.0.1") == "127.0.0.1"
    assert await look_up(names_of_all, "", "127.0.0.1") == "127.0.0.1"
    assert names.hanging == 2
    await stop(waiting)


async def test_a_thread_that_nobody_waits_for_still_counts(names: HangingNames) -> None:
    names_of_all = resolver()
    await stop(start(names_of_all, "ten_slow", 2))
    assert names.hanging == 0  # canceled before they began
    given_up = start(names_of_all, "ten_slow", 2)
    await eventually(lambda: names.hanging == 2)
    await stop(given_up)
    more = start(names_of_all, "ten_slow", MANY)
    await look_up(names_of_all, "ten_other", "127.0.0.1")
    assert names.hanging == 2

    names.release()  # and now its share is free again
    assert set(await asyncio.gather(*more)) == {"gaierror"}
    assert await look_up(names_of_all, "ten_slow", "127.0.0.1") == "127.0.0.1"


async def test_a_name_that_gets_no_thread_in_time_does_not_resolve(names: HangingNames) -> None:
    names_of_all = resolver(max_lookups=2, timeout_seconds=SOON)
    async with asyncio.timeout(scaled(20)):
        assert set(await asyncio.gather(*start(names_of_all, "ten_slow", 6))) == {"gaierror"}
        assert names.hanging == 2
        assert await look_up(names_of_all, "ten_other", "127.0.0.1") == "gaierror"
        names.release()
        await eventually(lambda: names.hanging == 0)
        assert await look_up(names_of_all, "ten_other", "127.0.0.1") == "127.0.0.1"


async def test_who_gives_up_waiting_for_a_thread_gives_its_share_back(names: HangingNames) -> None:
    names_of_all = resolver(max_lookups=1)
    blocking = start(names_of_all, "ten_slow", 1)
    await eventually(lambda: names.hanging == 1)
    impatient = start(names_of_all, "ten_other", 2)
    patient = asyncio.create_task(look_up(names_of_all, "ten_other", "127.0.0.1"))
    await asyncio.sleep(0)  # now two wait for a thread, and one for its share
    await stop(impatient)
    names.release()

    async with asyncio.timeout(scaled(20)):
        assert await patient == "127.0.0.1"
    await stop(blocking)


async def test_without_a_tenant_each_host_has_a_share(names: HangingNames) -> None:
    names_of_all = resolver()
    waiting = [asyncio.create_task(look_up(names_of_all, "", f"one{SUFFIX}")) for _ in range(MANY)]
    await eventually(lambda: names.hanging == 2)
    waiting += [asyncio.create_task(look_up(names_of_all, "", f"two{SUFFIX}"))]
    await eventually(lambda: names.hanging == 3)

    assert await look_up(names_of_all, "", "127.0.0.1") == "127.0.0.1"
    await stop(waiting)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".test", "a..test"])
async def test_what_getaddrinfo_raises_is_raised(host: str) -> None:
    with pytest.raises((OSError, UnicodeError)):
        await resolver().getaddrinfo(host, 80)


async def test_a_thread_that_cannot_be_started_costs_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    names_of_all = resolver(max_lookups=1, max_share=1)

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("adapters.resolver.Thread.start", refuse)
        assert await look_up(names_of_all, "ten_1", "127.0.0.1") == "OSError"
    async with asyncio.timeout(scaled(20)):
        assert await look_up(names_of_all, "ten_1", "127.0.0.1") == "127.0.0.1"


def test_on_its_loop_names_that_hang_hold_up_neither_files_nor_other_names(names: HangingNames) -> None:
    async def serve() -> list[str]:
        connecting = [
            asyncio.create_task(asyncio.open_connection(f"{number}{SUFFIX}", 80)) for number in range(MANY)
        ]
        await eventually(lambda: names.hanging == 8)
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(scaled(20)):
            done = await asyncio.to_thread(lambda: "a file was written")
        names.release()
        failed = await asyncio.gather(*connecting, return_exceptions=True)
        _, writer = await asyncio.open_connection("localhost", port, family=socket.AF_INET)
        writer.close()
        server.close()
        return [done, *{type(error).__name__ for error in failed}]

    with asyncio.Runner(loop_factory=lambda: ResolvingEventLoop(resolver(max_share=1))) as runner:
        assert runner.run(serve()) == ["a file was written", "gaierror"]


ENDS = f"""
import asyncio, socket, time
from adapters.resolver import Resolver, ResolvingEventLoop
from runtime.process import run
socket.getaddrinfo = lambda *_, **__: time.sleep({LATE})

def new_event_loop():
    return ResolvingEventLoop(Resolver(max_lookups=2, max_share=2, timeout_seconds={SOON}))

async def main(stop):
    try:
        await asyncio.open_connection("anything.test", 80)
    except OSError as error:
        print(error)
    return 7
"""


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ("run(main, new_event_loop)", 7),
        ("asyncio.Runner(loop_factory=new_event_loop).run(main(None))", 0),
    ],
)
def test_a_process_ends_without_waiting_for_a_name(ends: str, code: int) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", f"{ENDS}\n{ends}"],
        cwd=ROOT, capture_output=True, text=True, timeout=scaled(60), check=False,
    )  # fmt: skip

    assert (done.returncode, "no answer within" in done.stdout) == (code, True), done.stderr
