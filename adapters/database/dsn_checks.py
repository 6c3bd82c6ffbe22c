"""What in DATABASE_URL cannot be used or, in production, is unsafe."""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from adapters.database.dsn import checked_dsn
from domain.setting_checks import SettingProblem, is_internal, weakness

_MIN_PASSWORD_BITS = 32
_ENCRYPTED = ("require", "verify-ca", "verify-full")
# Other ways in than a password in the URL.
_CREDENTIALS = ("passfile", "sslcert", "service")


def database_url_problems(url: str) -> Iterator[SettingProblem]:
    try:
        parts = urlsplit(checked_dsn(url))
    except ValueError as error:
        yield SettingProblem("DATABASE_URL", str(error), "See docs/operations.md", always=True)
        return
    logins, _, places = parts.netloc.rpartition("@")
    user, _, password = logins.partition(":")
    parameters = {"user": unquote(user), "password": unquote(password)} | dict(parse_qsl(parts.query))
    hosts = [_host(place) for place in parameters.get("host", unquote(places)).split(",")]
    if weak := _weak_password(parameters, hosts):
        fix = "Give its role a random password, by ALTER ROLE and here: openssl rand -hex 32"
        yield SettingProblem("DATABASE_URL", f"the password of the role: {weak}", fix)
    outside = [host for host in hosts if host and not host.startswith("/") and not is_internal(host)]
    if outside and parameters.get("sslmode") not in _ENCRYPTED:
        yield SettingProblem(
            "DATABASE_URL",
            f"{outside[0]} is outside your network, and nothing makes the connection be encrypted",
            "Add ?sslmode=verify-full and sslrootcert, or at least ?sslmode=require",
            can_be_accepted=True,
        )


def _weak_password(parameters: Mapping[str, str], hosts: list[str]) -> str | None:
    password = parameters["password"]
    if password and password == parameters["user"]:
        return "it is the name of the role"
    if password:
        return weakness(password, min_bits=_MIN_PASSWORD_BITS)
    has_others = any(name in parameters for name in _CREDENTIALS)
    on_a_socket = all(not host or host.startswith("/") for host in hosts)
    return None if has_others or on_a_socket else "there is none, nor passfile or sslcert"


def _host(place: str) -> str:
    """Return the host of `host:port`, of an IPv6 address in brackets, or of a path."""
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place if place.startswith("/") else place.partition(":")[0]
