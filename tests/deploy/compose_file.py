"""Reads docker-compose.yml by the rules of Compose that it uses: YAML, .env, and `${…}`."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")

Service = dict[str, Any]


class VariableMissing(ValueError):
    """A `${NAME:?…}` that is not in the environment."""


def raw_services() -> dict[str, Service]:
    """Return the services, with their variables not filled in."""
    found: dict[str, Service] = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    return found


def services(env: Mapping[str, str]) -> dict[str, Service]:
    """Return the services with every variable filled in. Raises VariableMissing."""
    filled: dict[str, Service] = _filled(raw_services(), env)
    for service in filled.values():
        given = service.get("environment", {})
        # A name without a value is passed on where there is one, and is absent otherwise.
        service["environment"] = {
            name: env[name] if value is None else value
            for name, value in given.items()
            if value is not None or name in env
        }
    return filled


def variables() -> set[str]:
    """Return every variable that the file uses."""
    return {match["name"] for match in _VARIABLE.finditer(COMPOSE_FILE.read_text())} | passed_on()


def passed_on() -> set[str]:
    """Return the variables that a service gets only if the environment has them."""
    return {
        name
        for service in raw_services().values()
        for name, value in service.get("environment", {}).items()
        if value is None
    }


def read_env(path: Path) -> dict[str, str]:
    """Return the names and values of a .env file."""
    pairs = (line.partition("=") for line in path.read_text().splitlines() if line and line[0] != "#")
    return {name: value for name, _, value in pairs}


def temporal_config(env: Mapping[str, str]) -> dict[str, Any]:
    """Return deploy/temporal/server.yaml with the environment filled in, as the server does it."""
    text = (ROOT / "deploy" / "temporal" / "server.yaml").read_text()
    filled = re.sub(r'\{\{ env "(\w+)" \| (?:quote|default "\w+") \}\}', lambda match: env[match[1]], text)
    found: dict[str, Any] = yaml.safe_load(filled)
    return found


def strings(value: object) -> Iterator[str]:
    """Return every string in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def _filled(value: Any, env: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: _value(match, env), value)
    if isinstance(value, dict):
        return {key: _filled(inner, env) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, env) for inner in value]
    return value


def _value(match: re.Match[str], env: Mapping[str, str]) -> str:
    if value := env.get(match["name"]):
        return value
    if match["kind"] == "?":
        raise VariableMissing(match["name"])
    return match["rest"] or ""
