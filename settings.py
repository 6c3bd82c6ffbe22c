"""The settings of the service, read once at start and passed down as plain values.

Names are environment variables, in upper case; `docs/configuration.md` describes each one. The settings of
each provider are in its folder, and `composition/settings.py` reads them all.
"""

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.pasted import api_key, host_and_port, http_address, unpasted
from domain.webhooks import DEFAULT_SCHEDULE_SECONDS

_OPERATORS_PATHS = ("/readyz", "/metrics", "/docs", "/openapi.json")
Csv = Annotated[tuple[str, ...], NoDecode]
HttpAddress = Annotated[str, AfterValidator(http_address)]


class Settings(BaseSettings):
    """Environment variables; a `.env` file is not read. No default is a working secret."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    _unpaste = field_validator("*", mode="before")(unpasted)

    # What `composition/setting_problems.py` refuses to start with
    environment: Literal["development", "production"] = "development"
    accepted_risks: Csv = ()

    # Secrets and addresses: where the rest of the system is
    master_key: Annotated[SecretStr, Field(min_length=32)]
    other_master_keys: Annotated[tuple[Annotated[SecretStr, Field(min_length=32)], ...], NoDecode] = ()
    database_url: SecretStr
    migration_database_url: SecretStr | None = None
    database_pool_size: PositiveInt = 10
    database_pooler: bool = False
    temporal_address: Annotated[str, AfterValidator(host_and_port)] = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_api_key: SecretStr | None = None
    temporal_tls: bool = False
    temporal_tls_ca_file: str | None = None
    temporal_tls_cert_file: str | None = None
    temporal_tls_key_file: str | None = None
    temporal_tls_server_name: str | None = None
    temporal_ui_url: HttpAddress | None = None
    s3_endpoint: HttpAddress = "http://127.0.0.1:9000"
    s3_public_endpoint: HttpAddress | None = None
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    s3_root_access_key: SecretStr | None = None
    s3_root_secret_key: SecretStr | None = None
    s3_bucket: str = "darkroom"
    s3_region: str = "us-east-1"

    # The API
    api_host: str = "127.0.0.1"
    api_port: int = 8000
    api_internal_host: str = "127.0.0.1"
    api_internal_port: int = 8003
    api_public_paths: Csv = ("/readyz", "/docs", "/openapi.json")
    api_background_calls: Annotated[int, Field(ge=0)] = 500
    public_url: HttpAddress = "http://127.0.0.1:8000"
    webhook_base_url: HttpAddress | None = None
    show_temporal_ui_links: bool = False
    image_link_days: Annotated[float, Field(gt=0, le=3660)] = 7.0
    max_body_bytes: PositiveInt = 1_000_000

    # What each tenant may do, unless `python -m admin set-limits` says otherwise: domain/tenant.py
    tenant_creates_per_second: PositiveFloat = 100.0
    tenant_create_burst: PositiveInt = 2000
    tenant_reads_per_second: PositiveFloat = 500.0
    tenant_read_burst: PositiveInt = 5000
    tenant_cancels_per_second: PositiveFloat = 100.0
    tenant_cancel_burst: PositiveInt = 2000
    tenant_max_open_generations: Annotated[int, Field(ge=0)] = 10_000
    tenant_max_waiting_generations: Annotated[int, Field(ge=0)] = 5000
    tenant_max_files: Annotated[int, Field(ge=0)] = 10_000
    tenant_max_file_bytes: Annotated[int, Field(ge=0)] = 10_000_000_000
    tenant_max_uncharged_credits: Annotated[int, Field(ge=0)] = 10_000
    tenant_max_webhook_endpoints: Annotated[int, Field(ge=0)] = 20
    tenant_max_api_keys: Annotated[int, Field(ge=0)] = 100
    tenant_max_open_batches: Annotated[int, Field(ge=0)] = 10
    tenant_max_batch_concurrency: Annotated[int, Field(ge=0)] = 100

    # What each key of operators' systems may send
    operator_calls_per_second: PositiveFloat = 50.0
    operator_call_burst: PositiveInt = 500

    # How long what belongs to clients is kept after a generation has ended; unset: for ever
    retain_images_days: Annotated[float, Field(ge=0)] | None = None
    retain_content_days: Annotated[float, Field(ge=0)] | None = None
    retain_provider_data_days: Annotated[float, Field(ge=0)] | None = 30.0
    retain_events_days: Annotated[float, Field(ge=1)] | None = 30.0

    # Webhooks to clients
    delivery_origins: Annotated[tuple[HttpAddress, ...], NoDecode] = ()
    delivery_schedule_seconds: Annotated[
        tuple[Annotated[float, Field(ge=0, le=604_800)], ...], NoDecode, Field(min_length=1, max_length=50)
    ] = DEFAULT_SCHEDULE_SECONDS
    delivery_timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 20.0
    delivery_slow_down_seconds: PositiveFloat = 30.0
    endpoint_disable_after_days: PositiveFloat = 5.0
    retain_deliveries_days: Annotated[float, Field(gt=0)] | None = 30.0

    # Usage events for a billing system
    billing_events_url: HttpAddress | None = None
    billing_events_token: SecretStr | None = None
    billing_events_source: str | None = None

    # What clients of the API may take before and while it serves them
    trusted_proxies: Csv = ()
    api_head_timeout_seconds: PositiveFloat = 10.0
    api_write_timeout_seconds: PositiveFloat = 60.0
    api_max_connections: PositiveInt = 20_000
    api_max_anonymous_connections: PositiveInt = 5_000
    api_max_connections_per_address: PositiveInt = 2_500
    api_max_requests: PositiveInt = 4_000
    api_max_image_requests: PositiveInt = 500
    api_max_upload_requests: PositiveInt = 200
    api_max_webhook_requests: PositiveInt = 500
    api_max_health_requests: PositiveInt = 500
    api_max_other_requests: PositiveInt = 100
    api_max_waiting_requests: PositiveInt = 5_000
    api_stream_seconds: PositiveFloat = 300.0
    api_stream_heartbeat_seconds: PositiveFloat = 15.0
    # How long the log of events rests between two reads, in each process that anybody waits at.
    event_pause_seconds: PositiveFloat = 0.075
    api_max_running_per_tenant: PositiveInt = 16
    api_max_running_beside_others: PositiveInt = 1
    api_rest_after_creates: NonNegativeFloat = 10.0
    api_rest_after_calls: NonNegativeFloat = 3.0
    api_images_wait_seconds: Annotated[float, Field(gt=0, le=590)] = 570.0
    api_failed_keys_per_minute: PositiveInt = 60

    # Images that clients upload
    max_input_bytes: PositiveInt = 50_000_000
    max_batch_file_bytes: PositiveInt = 100_000_000
    input_hosts: Csv = ("*",)
    input_timeout_seconds: PositiveFloat = 10.0
    moderation_words_file: str | None = None
    moderation_with_openai: bool = False

    # The worker
    worker_host: str = "127.0.0.1"
    worker_health_port: int = 8001
    worker_metrics_port: int = 8002
    worker_grace_seconds: PositiveFloat = 25.0
    worker_cached_workflows: Annotated[int, Field(ge=0)] = 1000
    worker_max_activities: PositiveInt = 100
    worker_max_workflow_tasks: Annotated[int, Field(ge=2)] = 10
    workflow_task_timeout_seconds: PositiveFloat = 10.0
    worker_sticky_timeout_seconds: PositiveFloat = 10.0
    models_file: str = "models.toml"

    # Timing that an installation may shorten or stretch
    deadline_cap_seconds: PositiveFloat | None = None
    first_poll_cap_seconds: PositiveFloat | None = None
    queue_timeout_seconds: PositiveFloat = 3600.0
    reconcile_every_seconds: PositiveFloat = 60.0

    # Images
    max_image_bytes: PositiveInt = 50_000_000
    max_image_pixels: PositiveInt = 40_000_000
    image_decoders: PositiveInt = 3
    image_memory_bytes: Annotated[int, Field(ge=64_000_000)] = 512_000_000
    image_cpu_seconds: PositiveFloat = 10.0
    strip_metadata: bool = True
    download_timeout_seconds: PositiveFloat = 60.0

    # For providers that return the images in the response
    synchronous_timeout_seconds: PositiveFloat = 600.0

    log_level: str = "INFO"
    log_format: Literal["text", "json"] = "text"

    @field_validator("api_public_paths")
    @classmethod
    def _known_paths(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [path for path in value if path not in _OPERATORS_PATHS]:
            raise ValueError(f"{', '.join(unknown)} is none of {', '.join(_OPERATORS_PATHS)}")
        return value

    @field_validator("billing_events_token")
    @classmethod
    def _of_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is None else SecretStr(api_key(value.get_secret_value()))

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in value:
            ip_network(proxy, strict=False)
        return value

    @field_validator(
        "accepted_risks",
        "api_public_paths",
        "input_hosts",
        "other_master_keys",
        "trusted_proxies",
        "delivery_origins",
        "delivery_schedule_seconds",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @property
    def callback_base_url(self) -> str:
        """Return where providers reach the API: the public URL unless another one is set."""
        return self.webhook_base_url or self.public_url
