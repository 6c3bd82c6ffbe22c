"""DATABASE_URL as libpq understands it, for asyncpg under SQLAlchemy."""

import logging
import ssl
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_log = logging.getLogger("darkroom.database")
_SYSTEM_ROOTS = ("sslrootcert", "system")
_ROOTS = (
    ssl.get_default_verify_paths().cafile,
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
# What asyncpg reads itself.
_READ = {*_FILES, "sslmode", "host", "port", "user", "password", "dbname", "database", "target_session_attrs"}
_READ |= {"application_name", "options", "ssl_min_protocol_version", "ssl_max_protocol_version", "service"}
# asyncpg cannot do it. But managed servers put it into every address that they show, so it refuses none.
_CHANNEL_BINDING = ("channel_binding", "require")
# Of libpq, and without a meaning here: our own time limits hold, and asyncpg knows no other way to connect.
_IGNORED = {
    "channel_binding", "client_encoding", "connect_timeout", "fallback_application_name", "gssencmode",
    "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname",
    "load_balance_hosts", "requirepeer", "sslcompression", "sslsni", "tcp_user_timeout",
}  # fmt: skip


def async_engine(
    url: str, *, pooler: bool = False, connect_args: Mapping[str, Any] | None = None, **options: Any
) -> AsyncEngine:
    """Return an engine whose connections asyncpg opens from the URL itself, with parameters and host lists.

    pooler: whether a pooler of transactions stands in between, so that no prepared statement outlives its
    transaction or meets another of the same name. Raises ValueError for a URL that is not one of PostgreSQL,
    or has parameters that it does not know or cannot follow.
    """
    arguments, dialect_arguments = dict(connect_args or {}), {}
    if pooler:
        arguments["statement_cache_size"] = 0
        dialect_arguments = {
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"darkroom_{uuid4().hex}",
        }
    opener = _opener(url, arguments)
    return create_async_engine(
        "postgresql+asyncpg://", async_creator=opener, connect_args=dialect_arguments, **options
    )


def _opener(url: str, connect_args: dict[str, Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    dsn = checked_dsn(url)
    if _CHANNEL_BINDING in parse_qsl(urlsplit(url).query):
        _log.warning(
            "DATABASE_URL: channel_binding=require is not possible here and has no effect; "
            "sslmode=verify-full makes sure who answers"
        )

    async def connect(*_: Any, **__: Any) -> Any:
        return await asyncpg.connect(dsn, **connect_args)

    return connect


def checked_dsn(url: str) -> str:
    """Return the URL for asyncpg. Raises ValueError, in one sentence that does not show a password."""
    parts = urlsplit(url)
    if parts.scheme.split("+")[0] not in ("postgres", "postgresql") or "://" not in url:
        raise ValueError("DATABASE_URL must begin with postgresql://")
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    for name, value in parameters:
        _check(name, value)
    parameters = _with_system_roots(parameters)
    kept = urlencode([(name, value) for name, value in parameters if name not in _IGNORED])
    return urlunsplit(parts._replace(scheme="postgresql", query=kept))


def _with_system_roots(parameters: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Replace `system`, which libpq knows since version 16 and which implies verify-full, with a file."""
    if _SYSTEM_ROOTS not in parameters:
        return parameters
    roots = next((path for path in _ROOTS if path and Path(path).is_file()), None)
    if roots is None:
        raise ValueError("DATABASE_URL: sslrootcert=system finds no certificates; name a file")
    others = [(name, value) for name, value in parameters if name not in ("sslrootcert", "sslmode")]
    return [*others, ("sslmode", "verify-full"), ("sslrootcert", roots)]


def _check(name: str, value: str) -> None:
    if name not in _READ | _IGNORED:
        raise ValueError(f"DATABASE_URL: the parameter {name} is not known")
    if (name, value) == ("gssencmode", "require") or (name == "requirepeer" and value):
        raise ValueError(f"DATABASE_URL: {name}={value} is not possible here; leave it out")
    if name == "sslmode" and value not in _SSL_MODES:
        raise ValueError(f"DATABASE_URL: sslmode must be one of {', '.join(_SSL_MODES)}")
    if name in _FILES and (name, value) != _SYSTEM_ROOTS and not Path(value).is_file():
        raise ValueError(f"DATABASE_URL: {name} names no file")
