"""The connection to Temporal: plain, with TLS, or with certificates of both sides."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.service import TLSConfig

from domain.setting_checks import is_loopback


@dataclass(frozen=True)
class TemporalAddress:
    """Where a Temporal frontend is, and its credentials."""

    address: str
    namespace: str
    api_key: str | None = None
    tls: bool | TLSConfig = False

    @property
    def host(self) -> str:
        return urlsplit(f"//{self.address}").hostname or ""


def tls_of_files(
    *, ca_file: str | None, cert_file: str | None, key_file: str | None, server_name: str | None
) -> TLSConfig:
    """Return TLS with a private authority, a certificate of our own, or another name; each may be None.

    Files are PEM, and read now: a new certificate needs a restart. Raises ValueError, in one sentence, if one
    cannot be used.
    """
    if (cert_file is None) != (key_file is None):
        raise ValueError("TEMPORAL_TLS_CERT_FILE and TEMPORAL_TLS_KEY_FILE are set together")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
    except OSError as error:
        raise ValueError("TEMPORAL_TLS_CA_FILE has no certificate in PEM, or cannot be read") from error
    try:
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file, password="")  # none asked for on a terminal
    except OSError as error:
        raise ValueError(
            "TEMPORAL_TLS_CERT_FILE and TEMPORAL_TLS_KEY_FILE are no pair in PEM, without a passphrase, that"
            " can be read"
        ) from error
    return TLSConfig(
        server_root_ca_cert=_content(ca_file),
        domain=server_name,
        client_cert=_content(cert_file),
        client_private_key=_content(key_file),
    )


def _content(file: str | None) -> bytes | None:
    return None if file is None else Path(file).read_bytes()


async def connect(where: TemporalAddress, *, lazy: bool = False, runtime: Runtime | None = None) -> Client:
    """Return a client; with `lazy` it connects on its first call.

    Raises RuntimeError if Temporal is away, ValueError rather than send an API key in clear text.
    """
    if where.api_key is not None and where.tls is False and not is_loopback(where.host):
        raise ValueError("TEMPORAL_API_KEY would leave this machine in clear text: set TEMPORAL_TLS=true")
    return await Client.connect(
        where.address,
        namespace=where.namespace,
        api_key=where.api_key,
        tls=where.tls,
        lazy=lazy,
        runtime=runtime,
    )
