"""What is wrong with the settings, all of it at once, and what of that keeps a process from starting."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings

from adapters.database.dsn_checks import database_url_problems
from adapters.moderation import WordListCheck
from adapters.providers.openai.settings import OpenAiSettings
from adapters.providers.spec import provider_specs
from composition.providers import providers_with_webhooks
from composition.repositories import catalog
from composition.settings import ServiceSettings, setting_fields
from composition.temporal import temporal_address
from domain.setting_checks import (
    SettingProblem,
    is_internal,
    is_loopback,
    origin_problem,
    origins_in,
    public_address_problem,
    weakness,
)
from settings import Settings

_log = logging.getLogger("darkroom")
_NEW_SECRET = "Write a new one: openssl rand -hex 32"  # noqa: S105 - how to make one
_MIN_MASTER_KEY_BITS, _MIN_S3_SECRET_BITS = 96, 44
_S3_DEFAULT_NAMES = ("minioadmin", "minio", "admin", "root")


def read_settings() -> ServiceSettings:
    """Read every setting from the environment.

    Raises SystemExit with a line for each that cannot be read, and for all that would be refused after that.
    """
    own, invalid = _read(Settings)
    values: dict[str, Any] = dict(own)
    for spec in provider_specs():
        settings, wrong = _read(spec.settings)
        values |= {variable: getattr(settings, field) for variable, field in settings.variables().items()}
        invalid += wrong
    if invalid:
        names = {problem.setting for problem in invalid}
        settings = ServiceSettings(**values)
        others = refused_of(settings, setting_problems(settings))
        refuse([*invalid, *(problem for problem in others if problem.setting not in names)])
    return ServiceSettings()


def refuse_unsafe(settings: ServiceSettings) -> None:
    """Log what an operator accepted, and how much would be refused in production.

    Raises SystemExit with a line for each setting that is refused.
    """
    problems = setting_problems(settings)
    refuse(refused_of(settings, problems))
    accepted = [problem for problem in problems if _is_accepted(settings, problem)]
    for problem in accepted:
        _log.warning("accepted by ACCEPTED_RISKS: %s", problem)
    if count := len(problems) - len(accepted):
        _log.warning(
            "%d settings would be refused in production; `python -m admin check-settings` lists them", count
        )


def refused_of(settings: ServiceSettings, problems: list[SettingProblem]) -> list[SettingProblem]:
    """Return the problems with which a process does not start in this environment."""
    in_production = settings.environment == "production"
    return [
        problem
        for problem in problems
        if problem.always or (in_production and not _is_accepted(settings, problem))
    ]


def refuse(problems: Sequence[SettingProblem]) -> None:
    """Raises SystemExit with a line for each problem, if there are any."""
    if problems:
        raise SystemExit("\n  ".join(["Darkroom does not start with these settings:", *map(str, problems)]))


def setting_problems(settings: ServiceSettings) -> list[SettingProblem]:
    """Return everything that is wrong or, in production, unsafe."""
    own = (_secrets, _addresses, _temporal, _files, _accepted_names)
    found = [problem for check in own for problem in check(settings)]
    found += database_url_problems(settings.database_url.get_secret_value())
    if settings.migration_database_url is not None:
        owners = database_url_problems(settings.migration_database_url.get_secret_value())
        found += [replace(problem, setting="MIGRATION_DATABASE_URL") for problem in owners]
    for spec in provider_specs():
        of_provider = settings.providers.by_name[spec.name]
        if of_provider.is_enabled:
            found += of_provider.problems()
    return found


def _read(kind: type[BaseSettings]) -> tuple[Any, list[SettingProblem]]:
    """Return the settings of one class, with stand-ins for those that cannot be read, and what is wrong."""
    try:
        return kind(), []
    except ValidationError as error:
        wrong = {str(each["loc"][0]): _sentence(each) for each in error.errors(include_input=False)}
    prefix = kind.model_config.get("env_prefix", "").lower()
    wrong = {name.lower().removeprefix(prefix): sentence for name, sentence in wrong.items()}
    return kind(**{field: _stand_in(kind, field) for field in wrong}), [
        SettingProblem(f"{prefix}{field}".upper(), sentence, "See docs/configuration.md", always=True)
        for field, sentence in wrong.items()
    ]


def _sentence(error: ErrorDetails) -> str:
    if error["type"] == "missing":
        return "it is not set"
    text = error["msg"].removeprefix("Value error, ").replace("items after validation", "characters")
    return text[:1].lower() + text[1:]


def _stand_in(kind: type[BaseSettings], field: str) -> Any:
    """Return a value with which the other settings can be looked at."""
    stand_ins = {"environment": "production", "database_url": "postgresql:///"}
    if kind.model_fields[field].is_required() or field in stand_ins:
        return stand_ins.get(field, token_hex(32))
    return kind.model_fields[field].get_default(call_default_factory=True)


def _is_accepted(settings: Settings, problem: SettingProblem) -> bool:
    return problem.can_be_accepted and problem.setting in settings.accepted_risks


def _secrets(settings: Settings) -> Iterator[SettingProblem]:
    master_key = settings.master_key.get_secret_value()
    if weak := weakness(master_key, min_bits=_MIN_MASTER_KEY_BITS):
        yield SettingProblem("MASTER_KEY", weak, _NEW_SECRET)
    for other in settings.other_master_keys:
        if weak := weakness(other.get_secret_value(), min_bits=_MIN_MASTER_KEY_BITS):
            yield SettingProblem("OTHER_MASTER_KEYS", weak, "See docs/master-keys.md")
    others = (settings.s3_secret_key, settings.s3_root_secret_key, settings.database_url)
    if master_key in [secret.get_secret_value() for secret in others if secret is not None]:
        yield SettingProblem("MASTER_KEY", "it is the value of another secret", _NEW_SECRET)
    if settings.s3_access_key.get_secret_value() in _S3_DEFAULT_NAMES:
        yield SettingProblem("S3_ACCESS_KEY", "it is an object store's default", "Make an account of its own")
    yield from _account_problems("S3_SECRET_KEY", settings.s3_access_key, settings.s3_secret_key)
    if settings.s3_root_access_key is not None and settings.s3_root_secret_key is not None:
        root, secret = settings.s3_root_access_key, settings.s3_root_secret_key
        yield from _account_problems("S3_ROOT_SECRET_KEY", root, secret)


def _account_problems(setting: str, name: SecretStr, secret: SecretStr) -> Iterator[SettingProblem]:
    if secret.get_secret_value() == name.get_secret_value():
        yield SettingProblem(setting, "it is the name of the account", _NEW_SECRET)
    elif weak := weakness(secret.get_secret_value(), min_bits=_MIN_S3_SECRET_BITS):
        yield SettingProblem(setting, weak, _NEW_SECRET)


def _addresses(settings: ServiceSettings) -> Iterator[SettingProblem]:
    public = {"PUBLIC_URL": settings.public_url}
    if settings.webhook_base_url is not None and providers_with_webhooks(settings):
        public["WEBHOOK_BASE_URL"] = settings.webhook_base_url
    public["S3_PUBLIC_ENDPOINT"] = settings.s3_public_endpoint or settings.s3_endpoint
    found = [public_address_problem(name, url) for name, url in public.items()]
    found += [
        origin_problem("INPUT_HOSTS", origin, "clients can have files fetched from there", "Leave it out")
        for origin in origins_in(settings.input_hosts)
    ]
    found += [
        origin_problem("DELIVERY_ORIGINS", origin, "clients can have webhooks sent there", "Leave it out")
        for origin in settings.delivery_origins
    ]
    yield from (problem for problem in found if problem is not None)
    if settings.billing_events_url is not None:
        yield from _billing_problems(settings.billing_events_url)
    store = urlsplit(settings.s3_endpoint)
    if store.scheme == "http" and not is_internal(store.hostname or ""):
        yield SettingProblem(
            "S3_ENDPOINT",
            "images go to a host outside your network over http",
            "Set its https:// address",
            can_be_accepted=True,
        )


def _billing_problems(url: str) -> Iterator[SettingProblem]:
    name, address = "BILLING_EVENTS_URL", urlsplit(url)
    if address.username is not None or address.password is not None:
        problem, fix = "it has a password in it, which logs would show", "Set BILLING_EVENTS_TOKEN"
        yield SettingProblem(name, problem, fix, always=True)
    if address.scheme == "http" and not is_internal(address.hostname or ""):
        problem = "charges and the token go to a host outside your network over http"
        yield SettingProblem(name, problem, "Set its https:// address", can_be_accepted=True)


def _temporal(settings: Settings) -> Iterator[SettingProblem]:
    try:
        where = temporal_address(settings)
    except ValueError as error:
        text, fix = str(error), "See docs/operations.md"
        yield SettingProblem(text.partition(" ")[0], text, fix, always=True)
        return
    if where.tls is not False or is_loopback(where.host):
        return
    fix = "Set TEMPORAL_TLS=true"
    if where.api_key is not None:
        problem = "it would leave this machine in clear text"
        yield SettingProblem("TEMPORAL_API_KEY", problem, fix, always=True)
    elif not is_internal(where.host):
        problem = f"{where.host} is outside your network, and the connection is not encrypted"
        yield SettingProblem("TEMPORAL_ADDRESS", problem, fix, can_be_accepted=True)


def _files(settings: ServiceSettings) -> Iterator[SettingProblem]:
    loads: dict[str, Callable[[], object]] = {"MODELS_FILE": lambda: catalog(settings)}
    if (words := settings.moderation_words_file) is not None:
        loads["MODERATION_WORDS_FILE"] = lambda: WordListCheck.of_file(Path(words))
    for setting, load in loads.items():
        try:
            load()
        except (OSError, ValueError) as error:
            text = " ".join(str(error).split())
            yield SettingProblem(setting, text, "See docs/configuration.md", always=True)
    if settings.moderation_with_openai and settings.providers.of(OpenAiSettings).api_key is None:
        problem = "it needs OPENAI_API_KEY"
        yield SettingProblem("MODERATION_WITH_OPENAI", problem, "Set the key, or false", always=True)


def _accepted_names(settings: Settings) -> Iterator[SettingProblem]:
    for name in settings.accepted_risks:
        if name.lower() not in setting_fields():
            problem = f"{name} is no setting"
            yield SettingProblem("ACCEPTED_RISKS", problem, "Name settings in upper case", always=True)
