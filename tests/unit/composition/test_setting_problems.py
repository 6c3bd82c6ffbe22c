"""What production refuses: everything that is unsafe at once, and nothing that is not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from composition import ServiceSettings
from composition.setting_problems import read_settings, refuse_unsafe, refused_of, setting_problems
from composition.settings import setting_fields
from tests.support.time_limits import scaled

ROOT = Path(__file__).parents[3]
PASSWORD, S3_SECRET = "9bd1f04ce7a35268", "c07e4b1d9a6f2835e01b"
SAFE = {
    "environment": "production",
    "master_key": "5f0e61b9d2a84c37e6190bd4f7c825a3908e1f6bd47a2c35",  # not a secret: random, of nothing
    "database_url": f"postgresql://darkroom:{PASSWORD}@postgresql:5432/darkroom",
    "temporal_address": "temporal:7233",
    "s3_endpoint": "http://minio:9000",
    "s3_public_endpoint": "https://images.example.com",
    "s3_access_key": "darkroom",
    "s3_secret_key": S3_SECRET,
    "public_url": "https://api.example.com",
}
FAL = {"fal_key": "a-key", "fal_user_id": "user-1"}
SIMULATORS = {
    "fal_queue_url": "http://simulator:8090",
    "fal_jwks_url": "https://10.0.0.1/jwks.json",
    "fal_result_hosts": ("fal.media", "https://simulator:8090"),
}
WEAK = {"s3_secret_key": "minio123"}
WHSEC_SHORT = "whsec_c2hvcnQgc2VjcmV0"
WHSEC = "whsec_TwG4cT1RvU0zPd0kQ9S3m5yN8b7aXfLe"  # not a secret: of no account


def problems(**changed: Any) -> dict[str, str]:
    """Return the text of each refused setting, by its name."""
    settings = ServiceSettings(**SAFE | changed)
    return {problem.setting: str(problem) for problem in refused_of(settings, setting_problems(settings))}


@pytest.mark.parametrize(
    "more",
    [
        {},
        FAL,
        {"replicate_api_token": "a-key", "replicate_webhook_secrets": (WHSEC,)},
        {"openai_api_key": "a-key", "moderation_with_openai": True},
        {"temporal_address": "t.example.com:7233", "temporal_api_key": "a-key", "temporal_tls": True},
        {"temporal_address": "127.0.0.1:7233", "temporal_api_key": "a-key"},
        {"webhook_base_url": "http://api:8000"},  # no provider calls back
        SIMULATORS,  # without a key
        {"billing_events_url": "http://openmeter:8888/api/v1/events", "billing_events_token": "a-token"},
        {"billing_events_url": "https://billing.example.com"},
    ],
)
def test_what_is_safe_is_started(more: dict[str, Any]) -> None:
    assert problems(**more) == {}


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({"master_key": "0123456789abcdef0123456789abcdef"}, {"MASTER_KEY"}),
        ({"master_key": S3_SECRET * 2, "s3_secret_key": S3_SECRET * 2}, {"MASTER_KEY"}),
        ({"s3_access_key": "minioadmin", "s3_secret_key": "minioadmin"}, {"S3_ACCESS_KEY", "S3_SECRET_KEY"}),
        ({"s3_secret_key": "minio123"}, {"S3_SECRET_KEY"}),
        ({"other_master_keys": ("0123456789abcdef" * 2,)}, {"OTHER_MASTER_KEYS"}),
        ({"s3_root_access_key": "minioadmin", "s3_root_secret_key": "minioadmin"}, {"S3_ROOT_SECRET_KEY"}),
        ({"migration_database_url": "postgresql://a:a@postgresql/darkroom"}, {"MIGRATION_DATABASE_URL"}),
        ({"database_url": "postgresql://darkroom:darkroom@postgresql/darkroom"}, {"DATABASE_URL"}),
        ({"database_url": f"postgresql://darkroom:{PASSWORD}@db.example.com/x"}, {"DATABASE_URL"}),
        ({"public_url": "http://api.example.com"}, {"PUBLIC_URL"}),
        ({"public_url": "https://127.0.0.1"}, {"PUBLIC_URL"}),
        ({"s3_public_endpoint": "http://images.example.com"}, {"S3_PUBLIC_ENDPOINT"}),
        ({"s3_public_endpoint": None}, {"S3_PUBLIC_ENDPOINT"}),
        ({"s3_endpoint": "http://s3.example.com"}, {"S3_ENDPOINT"}),
        ({"webhook_base_url": "http://api.example.com", **FAL}, {"WEBHOOK_BASE_URL"}),
        ({"billing_events_url": "http://billing.example.com"}, {"BILLING_EVENTS_URL"}),
        ({"temporal_address": "t.example.com:7233"}, {"TEMPORAL_ADDRESS"}),
        ({"input_hosts": ("*", "http://10.0.0.1")}, {"INPUT_HOSTS"}),
        (FAL | SIMULATORS, {"FAL_QUEUE_URL", "FAL_JWKS_URL", "FAL_RESULT_HOSTS"}),
        ({"openai_api_key": "a-key", "openai_url": "http://127.0.0.1:8094/v1"}, {"OPENAI_URL"}),
        ({"openai_api_key": "a-key", "openai_url": "http://api.openai.com/v1"}, {"OPENAI_URL"}),
        (
            {"bfl_api_key": "a-key", "bfl_polling_hosts": ("https://192.168.0.1",)},
            {"BFL_POLLING_HOSTS"},
        ),
        (
            {"replicate_api_token": "a-key", "replicate_webhook_secrets": (WHSEC, WHSEC_SHORT)},
            {"REPLICATE_WEBHOOK_SECRETS"},
        ),
    ],
)
def test_what_is_unsafe_is_refused_in_production_alone(changed: dict[str, Any], refused: set[str]) -> None:
    assert problems(**changed).keys() == refused
    assert problems(**changed, environment="development") == {}
    settings = ServiceSettings(**SAFE | changed | {"environment": "development"})
    assert {problem.setting for problem in setting_problems(settings)} == refused


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({"fal_key": "a-key"}, "FAL_USER_ID"),
        ({"fal_key": "a-key", "fal_user_id": ""}, "FAL_USER_ID"),
        (
            {"replicate_api_token": "a-key", "replicate_webhook_secrets": ("plain",)},
            "REPLICATE_WEBHOOK_SECRETS",
        ),
        ({"temporal_api_key": "a-key"}, "TEMPORAL_API_KEY"),
        ({"temporal_api_key": "a-key", "temporal_address": "10.0.0.7:7233"}, "TEMPORAL_API_KEY"),
        ({"temporal_tls_cert_file": "/no/file"}, "TEMPORAL_TLS_CERT_FILE"),
        ({"temporal_tls_ca_file": "/no/file"}, "TEMPORAL_TLS_CA_FILE"),
        ({"database_url": "mysql://h/d"}, "DATABASE_URL"),
        ({"billing_events_url": "https://a:b@billing.example.com"}, "BILLING_EVENTS_URL"),
        ({"models_file": "none.toml"}, "MODELS_FILE"),
        ({"moderation_words_file": "none.txt"}, "MODERATION_WORDS_FILE"),
        ({"moderation_with_openai": True}, "MODERATION_WITH_OPENAI"),
        ({"accepted_risks": ("PUBLIC_ADDRESS",)}, "ACCEPTED_RISKS"),
    ],
)
@pytest.mark.parametrize("environment", ["production", "development"])
def test_what_cannot_work_is_refused_everywhere(
    changed: dict[str, Any], refused: str, environment: str
) -> None:
    accepted = changed.get("accepted_risks", (refused,))
    assert problems(**changed | {"environment": environment, "accepted_risks": accepted}).keys() == {refused}


def test_an_operator_may_accept_an_address_but_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    unsafe = {"public_url": "http://api.example.com", "s3_secret_key": "minio123"}
    accepted = {"accepted_risks": ("PUBLIC_URL", "S3_SECRET_KEY")}
    assert problems(**unsafe | accepted).keys() == {"S3_SECRET_KEY"}

    refuse_unsafe(ServiceSettings(**SAFE | unsafe | accepted | {"s3_secret_key": S3_SECRET}))
    [line] = caplog.messages
    assert line.startswith("accepted by ACCEPTED_RISKS: PUBLIC_URL: ")


def test_development_counts_them_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    unsafe = {"public_url": "http://api.example.com", "s3_secret_key": "minio123"}
    refuse_unsafe(ServiceSettings(**SAFE | unsafe | {"environment": "development"}))
    [line] = caplog.messages

    assert line.startswith("2 settings would be refused in production")


def test_every_problem_is_said_at_once_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in setting_fields():
        monkeypatch.delenv(name.upper(), raising=False)
    given = {
        "ENVIRONMENT": "production",
        "MASTER_KEY": "not-long-enough",
        "DATABASE_URL": "postgresql://darkroom:hunter2hunter2@db.example.com/darkroom",
        "DATABASE_POOL_SIZE": "many",
        "FAL_KEY": "a-key of two words",
        "OPENAI_API_KEY": "sk-1",
        "OPENAI_URL": "http://simulator:8094/v1",
        "TOGETHER_SUBMITS_PER_SECOND": "-1",
        "S3_ACCESS_KEY": "minioadmin",
        "REPLICATE_API_TOKEN": "r8-1",
        "REPLICATE_WEBHOOK_SECRETS": WHSEC_SHORT,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as raised:
        read_settings()
    text = str(raised.value)

    named = {line.strip().partition(":")[0] for line in text.splitlines()[1:]}
    assert named == given.keys() - {"ENVIRONMENT", "OPENAI_API_KEY", "REPLICATE_API_TOKEN"} | {
        "S3_SECRET_KEY",
        "PUBLIC_URL",
        "S3_PUBLIC_ENDPOINT",
    }
    for secret in ("not-long", "hunter2", "two words", "sk-1", "r8-1", WHSEC_SHORT):
        assert secret not in text


def process(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run a process with SAFE in its environment, except for the given values."""
    known = {name.upper() for name in setting_fields()}
    inherited = {name: value for name, value in os.environ.items() if name not in known}
    given = {name.upper(): value for name, value in (SAFE | changed).items()}
    return subprocess.run(  # noqa: S603
        [sys.executable, *arguments],
        cwd=ROOT, env=inherited | given, capture_output=True, text=True, timeout=scaled(60), check=False,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [("-m", "api"), ("worker.py",), ("-m", "admin", "bootstrap")])
def test_no_process_starts(arguments: tuple[str, ...]) -> None:
    ended = process(*arguments, **WEAK, public_url="http://api.example.com")

    assert (ended.returncode, ended.stdout) == (1, "")
    first, *lines = ended.stderr.splitlines()
    assert first == "Darkroom does not start with these settings:"
    assert [line.split(":")[0] for line in lines] == ["  S3_SECRET_KEY", "  PUBLIC_URL"]


def test_a_command_lists_them_and_connects_to_nothing() -> None:
    unsafe = process("-m", "admin", "check-settings", **WEAK)
    counted = process("-m", "admin", "check-settings", **WEAK, environment="development")
    safe = process("-m", "admin", "check-settings")

    assert [ended.returncode for ended in (unsafe, counted, safe)] == [1, 0, 0]
    assert "S3_SECRET_KEY" in unsafe.stderr
    for ended, is_refused in ((unsafe, True), (counted, False)):
        [problem] = json.loads(ended.stdout)["problems"]
        assert (problem["setting"], problem["refused"]) == ("S3_SECRET_KEY", is_refused)
    assert json.loads(safe.stdout) == {"environment": "production", "problems": []}
    assert safe.stderr == ""
