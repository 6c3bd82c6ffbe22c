"""What a tenant has, for tests of every operation that the API describes: real ids, and requests with them.

A new operation needs nothing here unless it names an id of a new kind.
"""

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import httpx

from api.http import examples
from tests.integration.api.batching import batch_ended, batch_file, item, line, posted_batch
from tests.integration.api.pictures import PICTURE
from tests.integration.api.service import Service, Tenant, unique
from tests.integration.webhooks.client import delivery_ended, endpoint_of, pinged
from tests.support.description import Operation, resolved

# By the name of a parameter: an id that one tenant has and no other, in one or more states.
Makers = Mapping[str, Callable[[Tenant], Awaitable[dict[str, str]]]]
# The first state is the one that a call of an operation wants, unless it is named here.
WANTED_STATES = {"cancel_generation": "open", "cancel_batch": "open"}
# Parameters that are the same for every tenant.
SHARED_PARAMETERS = {"model_id": "flux-schnell", "index": "0", "month": "2025-10"}
# Fields of bodies that name ids: whose they are.
BODY_IDS = {
    "inputs": "file_id",
    "images": "file_id",
    "mask": "file_id",
    "generation_id": "generation_id",
    "input_file_id": "batch_file_id",
}
_PREFIXES = {"generation_id": "gen_", "file_id": "file_"}
_ALPHABET = "0123456789abcdef"
# An endpoint that nothing reaches, and that no event of these tests is for: its rows do not change.
_NOWHERE, _RARE = "https://hooks.invalid/", "credits.withdrawn"


async def _generations(tenant: Tenant) -> dict[str, str]:
    held = await tenant.posted(unique("a vault [sim:hang]"))
    ended, erased = await tenant.posted(unique("a safe")), await tenant.posted(unique("ashes"))
    for job in (ended, erased):
        assert (await tenant.ended(job["id"]))["status"] == "completed"
    assert (await tenant.http.delete(f"/v1/generations/{erased['id']}")).status_code == 204
    await tenant.generating(held["id"])
    return {"ended": ended["id"], "open": held["id"], "deleted": erased["id"]}


async def _files(tenant: Tenant) -> dict[str, str]:
    answer = await tenant.http.post("/v1/files", files={"file": ("a.png", PICTURE, "image/png")})
    return {"stored": answer.json()["id"]}


async def _endpoints(tenant: Tenant) -> dict[str, str]:
    await tenant.http.post("/v1/webhook-secret/rotate")
    return {"quiet": (await endpoint_of(tenant, _NOWHERE, event_types=[_RARE])).id}


async def _deliveries(tenant: Tenant) -> dict[str, str]:
    endpoint = await endpoint_of(tenant, _NOWHERE, event_types=[_RARE])
    return {"ended": (await delivery_ended(tenant, await pinged(tenant, endpoint)))["id"]}


async def _api_keys(tenant: Tenant) -> dict[str, str]:
    made = [await tenant.http.post("/v1/keys", json={"scopes": ["read"]}) for _ in range(2)]
    unused, revoked = (answer.json()["id"] for answer in made)
    assert (await tenant.http.delete(f"/v1/keys/{revoked}")).status_code == 204
    return {"unused": unused, "revoked": revoked}


async def _batch_files(tenant: Tenant) -> dict[str, str]:
    return {"stored": await batch_file(tenant, [line(unique("a line"))])}


async def _batches(tenant: Tenant) -> dict[str, str]:
    ended = await posted_batch(tenant, [item(unique("a crowd"))])
    held = await posted_batch(tenant, [item(unique("a queue [sim:hang]"))])
    await batch_ended(tenant, ended["id"])
    return {"ended": ended["id"], "open": held["id"]}


MAKERS: Makers = {
    "generation_id": _generations,
    "file_id": _files,
    "batch_file_id": _batch_files,
    "batch_id": _batches,
    "endpoint_id": _endpoints,
    "delivery_id": _deliveries,
    "key_id": _api_keys,
}


@dataclass(frozen=True)
class Owner:
    """A tenant, and its ids by the name of the parameter and by state."""

    tenant: Tenant
    ids: Mapping[str, Mapping[str, str]]

    async def close(self) -> None:
        """Cancel what would go on."""
        await self.tenant.http.post(f"/v1/generations/{self.ids['generation_id']['open']}/cancel")
        await self.tenant.http.post(f"/v1/batches/{self.ids['batch_id']['open']}/cancel")
        await self.tenant.ended(self.ids["generation_id"]["open"])
        await batch_ended(self.tenant, self.ids["batch_id"]["open"])

    def values(self, operation: Operation) -> dict[str, str]:
        """Return a value for every parameter in the path, and for every id in the query and the body."""
        names = {*operation.path_parameters, *named_in_query(operation)}
        names |= {BODY_IDS[name] for name in named_in_body(operation)}
        return {name: SHARED_PARAMETERS.get(name) or self._id(operation, name) for name in names}

    def _id(self, operation: Operation, name: str) -> str:
        states = self.ids[name]
        return states.get(WANTED_STATES.get(operation.id, ""), next(iter(states.values())))


async def owner_of(tenant: Tenant) -> Owner:
    return Owner(tenant, {name: await make(tenant) for name, make in MAKERS.items()})


def unknown_id(real: str) -> str:
    """Return an id of the same form that nobody has."""
    prefix, underscore, rest = real.rpartition("_")
    return f"{prefix}{underscore}{''.join(random.choices(_ALPHABET, k=len(rest)))}"  # noqa: S311 - no secret


def named_in_query(operation: Operation) -> list[str]:
    """Return the parameters of the query that name ids."""
    parameters = operation.content.get("parameters", ())
    return [each["name"] for each in parameters if each["in"] == "query" and each["name"].endswith("_id")]


def named_in_body(operation: Operation) -> list[str]:
    """Return the fields of a JSON body that name ids."""
    content = operation.media_types.get("application/json", {})
    properties = resolved(content.get("schema", {})).get("properties", {})
    return [name for name in properties if name in BODY_IDS or name.endswith(("_id", "_ids"))]


@dataclass
class Call:
    """A request that succeeds for the owner of what it names."""

    operation: Operation
    values: dict[str, str]
    body: dict[str, Any] | None = None
    query: Mapping[str, Any] = field(default_factory=dict)

    def with_id(self, name: str, value: str) -> "Call":
        return Call(self.operation, {**self.values, name: value}, self.body, self.query)

    async def send(self, http: httpx.AsyncClient) -> httpx.Response:
        path = self.operation.path.format_map(self.values)
        query = {name: self.values.get(name, value) for name, value in self.query.items()}
        return await http.request(self.operation.method, path, params=query, **self._content())

    def _content(self) -> dict[str, Any]:
        kinds = self.operation.media_types
        if "multipart/form-data" in kinds and "application/json" not in kinds:
            return {"files": {"file": ("a.png", PICTURE, "image/png")}}
        if "application/json" not in kinds:
            return {"content": b"{}"} if kinds else {}
        body = deepcopy(self.body or {})
        for name in named_in_body(self.operation):
            if name in body and BODY_IDS[name] in self.values:
                given = self.values[BODY_IDS[name]]
                found = {BODY_IDS[name]: given} if name == "images" else given
                body[name] = [found] if isinstance(body[name], list) else found
        return {"json": body}


def calls_of(operation: Operation, owner: Owner) -> Iterator[Call]:
    """Yield a call for each example of its body; one without a body if it has none."""
    query = {
        each["name"]: each["example"]
        for each in operation.content.get("parameters", ())
        if each["in"] == "query" and "example" in each
    }
    values = owner.values(operation)
    bodies = examples.BODIES.get(operation.id, {"": None})
    yield from (Call(operation, values, deepcopy(body) if body else None, query) for body in bodies.values())


async def books_of(service: Service, tenant: Tenant) -> dict[str, str]:
    """Return a digest of every row that names the tenant, by table. Reading and polling change none."""
    tables = await service.words(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant_id'"
        " AND table_schema = 'public' AND table_name NOT IN ('api_keys', 'provider_slots')"
    )
    return {table: await _digest(service, table, tenant.id) for table in tables}


async def _digest(service: Service, table: str, tenant_id: str) -> str:
    polled = " AND row.type <> 'attempt.polled'" if table == "events" else ""
    rows = f'FROM "{table}" AS row WHERE row.tenant_id = :id{polled}'  # a name that the database has given
    [digest] = await service.words(
        f"SELECT coalesce(md5(string_agg(row::text, '|' ORDER BY row::text)), '') {rows}",
        id=tenant_id,
    )
    return digest
