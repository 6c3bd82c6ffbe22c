"""The settings of the service, read once at start and passed down as plain values.

Names are environment variables, in upper case; `docs/configuration.md` describes each one. The settings of
each provider are in its folder, and `composition/settings.py` reads them all.
"""

from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.pasted import host_and_port, http_address, unpasted

Csv = Annotated[tuple[str, ...], NoDecode]
HttpAddress = Annotated[str, AfterValidator(http_address)]


class Settings(BaseSettings):
    """Environment variables; a `.env` file is not read. No default is a working secret."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    _unpaste = field_validator("*", mode="before")(unpasted)

    # Secrets and addresses: where the rest of the system is
    master_key: Annotated[SecretStr, Field(min_length=32)]
    database_url: SecretStr
    migration_database_url: SecretStr | None = None
    database_pool_size: PositiveInt = 10
    database_pooler: bool = False
    temporal_address: Annotated[str, AfterValidator(host_and_port)] = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_api_key: SecretStr | None = None
    temporal_tls: bool = False
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
    api_background_starts: Annotated[int, Field(ge=0)] = 500
    public_url: HttpAddress = "http://127.0.0.1:8000"
    webhook_base_url: HttpAddress | None = None
    show_temporal_ui_links: bool = False
    max_body_bytes: PositiveInt = 30_000_000

    # Images that clients upload
    max_input_bytes: PositiveInt = 50_000_000
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
    download_timeout_seconds: PositiveFloat = 60.0

    # For providers that return the images in the response
    synchronous_timeout_seconds: PositiveFloat = 600.0

    log_level: str = "INFO"

    @field_validator("input_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @property
    def callback_base_url(self) -> str:
        """Return where providers reach the API: the public URL unless another one is set."""
        return self.webhook_base_url or self.public_url
