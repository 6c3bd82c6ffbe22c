"""OpenAI's clients repeat by themselves, without a key. Whatever is cut: one job, one charge."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from sqlalchemy import text

from tests.integration.api.openai_routes.clients import official, opened
from tests.integration.api.openai_routes.cutting_proxy import Cut, CuttingProxy, cutting
from tests.integration.api.openai_routes.repeating import (
    asked,
    cut_while_waiting,
    only_job,
    open_requests,
    post_through,
    unanswered,
)
from tests.integration.api.pictures import png
from tests.integration.api.service import MODEL, PRICE, Service, Tenant, listening, serving, unique
from tests.support.eventually import eventually


@pytest.mark.parametrize(
    "cut", [Cut(sent_bytes=10), Cut(sent_bytes=400), Cut(received_bytes=100), Cut(received_bytes=2_000)]
)
async def test_a_connection_that_is_cut(service: Service, tenant: Tenant, cut: Cut) -> None:
    async with cutting(service.url, cut) as proxy, official(tenant, proxy.url) as client:
        answer = await client.images.generate(model=MODEL, prompt=unique("cut"), size="512x512")

    assert opened((answer.data or [])[0].b64_json).size == (512, 512)
    assert proxy.connections == 2
    await only_job(tenant)


async def test_an_answer_that_was_sent_whole_and_got_lost(service: Service, tenant: Tenant) -> None:
    """It is so short that TCP takes it at once: only the end of the connection tells."""
    async with cutting(service.url, Cut(received_bytes=100)) as proxy, official(tenant, proxy.url) as client:
        answer = await client.images.generate(model=MODEL, prompt=unique("lost"), response_format="url")

    assert (answer.data or [])[0].url is not None
    assert proxy.connections == 2
    await only_job(tenant)


@pytest.mark.parametrize("cuts_after", [(), (Cut(received_bytes=500),)], ids=["once", "and again"])
async def test_a_connection_that_is_cut_while_it_waits(
    service: Service, tenant: Tenant, cuts_after: tuple[Cut, ...]
) -> None:
    now = asyncio.Event()
    cuts = (Cut(when=now), *cuts_after)
    async with cutting(service.url, *cuts) as proxy, official(tenant, proxy.url) as client:
        asking = asyncio.create_task(
            client.images.generate(model=MODEL, prompt=unique("cut in the wait [sim:latency=3]"))
        )
        await cut_while_waiting(service, tenant, now)
        answer = await asking

    assert len(answer.data or []) == 1
    assert proxy.connections == 2 + len(cuts_after)
    await only_job(tenant)


async def test_an_edit_is_known_by_the_bytes_of_its_images(service: Service, tenant: Tenant) -> None:
    now = asyncio.Event()
    async with cutting(service.url, Cut(when=now)) as proxy, official(tenant, proxy.url) as client:
        asking = asyncio.create_task(
            client.images.edit(
                model="flux-2", prompt=unique("an edit [sim:latency=3]"), image=("a.png", png(), "image/png")
            )
        )
        await cut_while_waiting(service, tenant, now)
        await asking

    assert len((await tenant.get("/v1/generations"))["data"]) == 1


async def test_a_client_that_is_less_patient_than_the_job(service: Service, tenant: Tenant) -> None:
    async with official(tenant, service.url) as client:
        hasty = client.with_options(timeout=1.5)
        await hasty.images.generate(model=MODEL, prompt=unique("hasty [sim:latency=3]"))

    await only_job(tenant)


async def test_a_client_that_gives_up_has_one_job_that_goes_on(service: Service, tenant: Tenant) -> None:
    async with official(tenant, service.url) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.with_options(timeout=0.5).images.generate(
                model=MODEL, prompt=unique("gives up [sim:latency=5]")
            )

    [job] = (await tenant.get("/v1/generations"))["data"]
    assert (await tenant.ended(job["id"]))["status"] == "completed"
    await only_job(tenant)


async def test_two_alike_that_are_cut_have_a_job_each(service: Service, tenant: Tenant) -> None:
    now, prompt = asyncio.Event(), unique("twins [sim:latency=4]")
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(cutting(service.url, Cut(when=now), Cut(when=now)))
        clients = [await stack.enter_async_context(official(tenant, proxy.url)) for _ in range(2)]

        async def job_of(client: AsyncOpenAI) -> str:
            raw = await client.images.with_raw_response.generate(model=MODEL, prompt=prompt)
            return str(raw.headers["x-generation-id"])

        asking = [asyncio.create_task(job_of(client)) for client in clients]
        await cut_while_waiting(service, tenant, now, jobs=2)
        jobs = await asyncio.gather(*asking)

    assert len(set(jobs)) == 2
    assert await tenant.credits() == (100 - 2 * PRICE, 0, 2 * PRICE)


async def test_a_repeat_beside_a_live_request_is_one_of_its_own(service: Service, tenant: Tenant) -> None:
    prompt = unique("live [sim:latency=8]")
    first = asyncio.create_task(asked(tenant, prompt, 0))

    async def is_open() -> bool:
        return await open_requests(service, tenant) == 1

    await eventually(is_open, 20)
    second = await asked(tenant, prompt, 1)

    assert (await first).headers["x-generation-id"] != second.headers["x-generation-id"]


async def test_what_was_answered_is_not_adopted(service: Service, tenant: Tenant) -> None:
    prompt = unique("answered")
    first = await asked(tenant, prompt, 0)

    async def is_forgotten() -> bool:
        return await unanswered(service, tenant) == 0

    await eventually(is_forgotten, 20)
    second = await asked(tenant, prompt, 1)

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.headers["x-generation-id"] != second.headers["x-generation-id"]


@pytest.fixture
async def abandoned(service: Service, tenant: Tenant) -> tuple[str, str]:
    """The prompt and the id of a job whose client has disconnected."""
    prompt, now = unique("abandoned [sim:latency=2]"), asyncio.Event()
    async with cutting(service.url, Cut(when=now)) as proxy, official(tenant, proxy.url) as client:
        asking = asyncio.create_task(
            client.with_options(max_retries=0).images.generate(model=MODEL, prompt=prompt, size="512x512")
        )
        await cut_while_waiting(service, tenant, now)
        with pytest.raises(openai.APIConnectionError):
            await asking
    [job] = (await tenant.get("/v1/generations"))["data"]
    return prompt, job["id"]


async def test_each_try_adopts_a_job_once(tenant: Tenant, abandoned: tuple[str, str]) -> None:
    prompt, job = abandoned
    adopted, *others = await asyncio.gather(*(asked(tenant, prompt, 1) for _ in range(3)))

    ids = [answer.headers["x-generation-id"] for answer in (adopted, *others)]
    assert ids.count(job) == 1
    assert len(set(ids)) == 3


async def test_only_the_same_request_of_the_same_key_adopts(
    service: Service, tenant: Tenant, abandoned: tuple[str, str]
) -> None:
    prompt, job = abandoned
    stranger = await service.tenant()
    answers = [
        await asked(tenant, prompt, 0),
        await asked(tenant, prompt, 1, n=2),
        await asked(tenant, prompt, 1, response_format="url"),
        await asked(stranger, prompt, 1),
    ]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert job not in [answer.headers["x-generation-id"] for answer in answers]
    assert (await asked(tenant, prompt, 1)).headers["x-generation-id"] == job


async def test_after_a_quarter_of_an_hour_nothing_is_adopted(
    service: Service, tenant: Tenant, abandoned: tuple[str, str]
) -> None:
    prompt, job = abandoned
    aged = "UPDATE image_requests SET connected_until = now() - interval '16 minutes'"
    async with service.database.begin() as session:
        await session.execute(text(f"{aged} WHERE generation_id = :id"), {"id": job})

    assert (await asked(tenant, prompt, 1)).headers["x-generation-id"] != job


async def test_a_clients_own_key_finds_the_same_job(service: Service, tenant: Tenant) -> None:
    prompt, headers = unique("a key [sim:latency=1]"), {"Idempotency-Key": "order-7"}
    async with official(tenant, service.url) as client:

        async def ask() -> str:
            raw = await client.images.with_raw_response.generate(
                model=MODEL, prompt=prompt, extra_headers=headers
            )
            return str(raw.headers["x-generation-id"])

        ids = [*await asyncio.gather(ask(), ask()), await ask()]
        with pytest.raises(openai.BadRequestError) as caught:
            await client.images.generate(model=MODEL, prompt="another", extra_headers=headers)

    assert len(set(ids)) == 1
    assert caught.value.code == "idempotency_key_reused"
    await only_job(tenant)


async def test_the_longest_wait_ends_with_the_id(service: Service, tenant: Tenant) -> None:
    with listening() as listener:
        port = int(listener.getsockname()[1])
        settings = service.settings.model_copy(update={"api_port": port, "api_images_wait_seconds": 1.0})
        async with serving(settings, listener), cutting(f"http://127.0.0.1:{port}") as proxy:
            await refused_as_pending(tenant, proxy)


async def refused_as_pending(tenant: Tenant, proxy: CuttingProxy) -> None:
    async with official(tenant, proxy.url) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            await client.images.generate(model=MODEL, prompt=unique("too long [sim:latency=4]"))

    error = caught.value
    [job] = (await tenant.get("/v1/generations"))["data"]
    assert (error.status_code, error.code, proxy.connections) == (504, "generation_pending", 1)
    assert isinstance(error.body, dict)
    assert error.body["generation_id"] == error.response.headers["x-generation-id"] == job["id"]
    assert error.response.headers["x-should-retry"] == "false"
    assert (await tenant.ended(job["id"]))["status"] == "completed"


async def test_a_request_that_waits_holds_up_nobody(service: Service, tenant: Tenant) -> None:
    """One new generation of a tenant runs at once here, and the wait for one is over when it is accepted."""
    with listening() as listener:
        port = int(listener.getsockname()[1])
        settings = service.settings.model_copy(update={"api_port": port, "api_max_running_per_tenant": 1})
        async with serving(settings, listener), cutting(f"http://127.0.0.1:{port}") as proxy:
            waiting = asyncio.create_task(post_through(tenant, proxy, unique("it waits [sim:latency=5]")))

            async def is_waiting() -> bool:
                return await open_requests(service, tenant) == 1

            await eventually(is_waiting, 20)
            second = await post_through(tenant, proxy, unique("it does not wait for the first"))
            assert (second.status_code, waiting.done()) == (200, False)
            assert (await waiting).status_code == 200


async def test_one_more_than_may_wait_gets_its_id_at_once(service: Service, tenant: Tenant) -> None:
    with listening() as listener:
        port = int(listener.getsockname()[1])
        settings = service.settings.model_copy(update={"api_port": port, "api_max_waiting_requests": 1})
        async with serving(settings, listener), cutting(f"http://127.0.0.1:{port}") as proxy:
            first = asyncio.create_task(post_through(tenant, proxy, unique("the first [sim:latency=5]")))

            async def is_waiting() -> bool:
                return await open_requests(service, tenant) == 1

            await eventually(is_waiting, 20)
            second = await post_through(tenant, proxy, unique("the second [sim:latency=5]"))
            assert (second.status_code, first.done()) == (504, False)
            assert second.json()["error"]["generation_id"] == second.headers["x-generation-id"]
            assert (await first).status_code == 200


async def test_two_processes_share_what_waits(service: Service, tenant: Tenant) -> None:
    prompt, now = unique("elsewhere [sim:latency=3]"), asyncio.Event()
    with listening() as listener:
        port = int(listener.getsockname()[1])
        async with serving(service.settings.model_copy(update={"api_port": port}), listener):
            async with cutting(f"http://127.0.0.1:{port}", Cut(when=now)) as proxy:
                asking = asyncio.create_task(post_through(tenant, proxy, prompt))
                await cut_while_waiting(service, tenant, now)
                with pytest.raises(httpx.HTTPError):
                    await asking
            answer = await asked(tenant, prompt, 1)

    assert answer.status_code == 200
    await only_job(tenant)


async def test_a_repeat_while_the_row_of_the_first_is_written(service: Service, tenant: Tenant) -> None:
    """The first try holds the lock of the request, and waits for the table, while its client leaves."""
    prompt, now = unique("written slowly"), asyncio.Event()
    async with cutting(service.url, Cut(when=now)) as proxy, service.database.begin() as session:
        await session.execute(text("LOCK TABLE image_requests IN EXCLUSIVE MODE"))
        first = asyncio.create_task(post_through(tenant, proxy, prompt))
        await eventually(lambda: writers_wait(service, 1), 20)
        now.set()
        with pytest.raises(httpx.HTTPError):
            await first
        repeat = asyncio.create_task(asked(tenant, prompt, 1))
        await eventually(lambda: writers_wait(service, 2), 20)
    answer = await repeat

    assert answer.status_code == 200
    await only_job(tenant)


async def writers_wait(service: Service, sessions: int) -> bool:
    """Return whether so many sessions of the API wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return await service.count(f"{waiting} AND datname = current_database()") >= sessions
