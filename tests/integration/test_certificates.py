"""Temporal and PostgreSQL behind TLS with a private authority, which ask for a certificate of ours."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest

from adapters.database.engine import Database
from composition import ServiceSettings
from composition.temporal import temporal_client
from devstack.servers.running import Servers
from domain.errors import DatabaseUnavailable
from tests.integration.conftest import new_database
from tests.support.tls_front import Authority, Front, tls_front

SERVER_NAME = "temporal.private.test"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def temporal(servers: Servers, authority: Authority) -> AsyncIterator[Front]:
    """Run a front for the real server, with a certificate for another name than its address."""
    host, _, port = servers.temporal.address.partition(":")
    tls = authority.server_context(authority.pair(SERVER_NAME), "h2")
    async with tls_front(host, int(port), tls) as front:
        yield front


def settings(front: Front, namespace: str, **tls: Any) -> ServiceSettings:
    return ServiceSettings(
        master_key="a master key that only these tests use",
        database_url="postgresql://user:password@127.0.0.1/nothing",
        s3_access_key="access",
        s3_secret_key="s" * 8,
        temporal_address=f"127.0.0.1:{front.port}",
        temporal_namespace=namespace,
        **tls,
    )


def mutual_tls(authority: Authority) -> dict[str, str]:
    own = authority.pair("darkroom-worker")
    return {
        "temporal_tls_ca_file": str(authority.ca_file),
        "temporal_tls_cert_file": str(own.cert_file),
        "temporal_tls_key_file": str(own.key_file),
        "temporal_tls_server_name": SERVER_NAME,
    }


async def test_temporal_sees_our_certificate(servers: Servers, temporal: Front, authority: Authority) -> None:
    client = await temporal_client(
        settings(temporal, servers.temporal.namespace, **mutual_tls(authority), temporal_api_key="a-key")
    )
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())

    assert info.server_version
    assert set(temporal.clients) == {"darkroom-worker"}


@pytest.mark.parametrize(
    "without", ["temporal_tls_ca_file", "temporal_tls_server_name", "temporal_tls_cert_file"]
)
async def test_nothing_of_it_can_be_left_out(
    servers: Servers, temporal: Front, authority: Authority, without: str
) -> None:
    given = mutual_tls(authority)
    del given[without]
    if without == "temporal_tls_cert_file":
        del given["temporal_tls_key_file"]
    with pytest.raises(RuntimeError):
        await temporal_client(settings(temporal, servers.temporal.namespace, **given))

    assert temporal.clients == []


async def test_a_certificate_of_another_authority_is_no_temporal_of_ours(
    servers: Servers, temporal: Front, authority: Authority, tmp_path: Path
) -> None:
    given = mutual_tls(authority) | {"temporal_tls_ca_file": str(Authority(tmp_path, "other").ca_file)}
    with pytest.raises(RuntimeError):
        await temporal_client(settings(temporal, servers.temporal.namespace, **given))


@pytest.fixture
async def postgres(servers: Servers, authority: Authority) -> AsyncIterator[tuple[str, Front]]:
    """Run a front for the real server; return the URL of a new database through it, too."""
    direct = urlsplit(await new_database(servers.postgres.url))
    assert direct.hostname is not None
    assert direct.port is not None
    tls = authority.server_context(authority.pair("127.0.0.1"))
    async with tls_front(direct.hostname, direct.port, tls, of_postgres=True) as front:
        place = f"{direct.username}:{direct.password}@127.0.0.1:{front.port}"
        yield direct._replace(netloc=place).geturl(), front


async def test_postgresql_sees_our_certificate(postgres: tuple[str, Front], authority: Authority) -> None:
    url, front = postgres
    own = authority.pair("darkroom-api")
    files = {"sslrootcert": authority.ca_file, "sslcert": own.cert_file, "sslkey": own.key_file}
    database = Database(f"{url}?{urlencode({'sslmode': 'verify-full', **files})}", pool_size=1)

    assert await database.healthy()
    assert set(front.clients) == {"darkroom-api"}
    await database.close()


@pytest.mark.parametrize("left_out", ["sslrootcert", "sslcert"])
async def test_a_database_is_not_used_without_the_certificates(
    postgres: tuple[str, Front], authority: Authority, tmp_path: Path, left_out: str
) -> None:
    url, front = postgres
    own = authority.pair("darkroom-api")
    files = {"sslrootcert": authority.ca_file, "sslcert": own.cert_file, "sslkey": own.key_file}
    if left_out == "sslrootcert":
        files["sslrootcert"] = Authority(tmp_path, "other").ca_file
    else:
        del files["sslcert"], files["sslkey"]
    database = Database(f"{url}?{urlencode({'sslmode': 'verify-full', **files})}", pool_size=1)
    with pytest.raises((DatabaseUnavailable, ssl.SSLError)):
        await database.healthy()

    assert front.clients == []
    await database.close()
