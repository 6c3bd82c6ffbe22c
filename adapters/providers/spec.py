"""What a provider's folder says about itself: the type of every SPEC, and how the specs are found."""

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from adapters.providers.http.error_mapping import ErrorTable
from adapters.providers.http.inline_images import InlineImageClient
from adapters.providers.http.masks import InvertAlpha
from adapters.providers.settings import JobProviderSettings, ProviderSettings
from adapters.transport.http import HttpClient
from domain.keyring import Keyring
from domain.ports import Provider, SynchronousProvider, WebhookReader

S = TypeVar("S", bound=ProviderSettings)
J = TypeVar("J", bound=JobProviderSettings)


@dataclass(frozen=True)
class Providers:
    """The adapters of enabled providers by name: with jobs that can be polled, and synchronous ones."""

    with_jobs: dict[str, Provider] = field(default_factory=dict)
    synchronous: dict[str, SynchronousProvider] = field(default_factory=dict)


@dataclass(frozen=True)
class JobTools:
    """keyring: what secrets for a provider's webhooks are derived from. invert_alpha: converts masks."""

    keyring: Keyring
    invert_alpha: InvertAlpha


@dataclass(frozen=True)
class AdapterTools:
    """What adapters are built with.

    Attributes:
        open_client: Opens an HTTP client. Each adapter with jobs has its own: a provider that hangs must not
            use up the connections of the others.
        inline_images: The client that all synchronous adapters share.
        jobs: What adapters with jobs are given besides a client.
    """

    open_client: Callable[[], HttpClient]
    inline_images: InlineImageClient
    jobs: JobTools


@dataclass(frozen=True)
class ProviderSpec(ABC, Generic[S]):
    """A provider: its name, its settings class, and how each of its errors is mapped."""

    name: str
    settings: type[S]
    errors: ErrorTable

    @abstractmethod
    def add_adapter(self, providers: Providers, settings: S, tools: AdapterTools) -> None:
        """Build the adapter and add it to `providers`."""

    def result_hosts(self, settings: S) -> tuple[str, ...]:
        """Return where results may be downloaded from; nothing for a provider that sends the images."""
        return ()

    def webhook_reader(self, settings: S, http: HttpClient, keyring: Keyring) -> WebhookReader | None:
        """Return the reader of its webhooks; None where webhooks are not requested."""
        return None

    def reads_webhooks(self, settings: S) -> bool:
        """Return whether `webhook_reader` returns a reader."""
        return False

    @property
    def lists_jobs(self) -> bool:
        """Whether `find_job` of its adapter can find a job."""
        return False


@dataclass(frozen=True)
class JobProviderSpec(ProviderSpec[J]):
    """A provider with jobs.

    make_adapter: From its settings, an HTTP client and the tools. make_webhook_reader: has the master keys
    instead of these. finds_jobs: Whether the adapter's `find_job` ever finds one.
    """

    make_adapter: Callable[[J, HttpClient, JobTools], Provider]
    make_webhook_reader: Callable[[J, HttpClient, Keyring], WebhookReader] | None = None
    finds_jobs: bool = False

    @property
    def lists_jobs(self) -> bool:
        return self.finds_jobs

    def add_adapter(self, providers: Providers, settings: J, tools: AdapterTools) -> None:
        providers.with_jobs[self.name] = self.make_adapter(settings, tools.open_client(), tools.jobs)

    def result_hosts(self, settings: J) -> tuple[str, ...]:
        return settings.result_hosts

    def webhook_reader(self, settings: J, http: HttpClient, keyring: Keyring) -> WebhookReader | None:
        if self.make_webhook_reader is None or not self.reads_webhooks(settings):
            return None
        return self.make_webhook_reader(settings, http, keyring)

    def reads_webhooks(self, settings: J) -> bool:
        return self.make_webhook_reader is not None and settings.is_enabled and settings.reads_webhooks


@dataclass(frozen=True)
class SynchronousProviderSpec(ProviderSpec[S]):
    """A provider whose response carries the images. make_adapter: from its settings and the shared client."""

    make_adapter: Callable[[S, InlineImageClient], SynchronousProvider]

    def add_adapter(self, providers: Providers, settings: S, tools: AdapterTools) -> None:
        providers.synchronous[self.name] = self.make_adapter(settings, tools.inline_images)


@cache
def provider_specs() -> tuple[ProviderSpec[Any], ...]:
    """Return the SPEC of every folder here that has a module `spec`, in alphabetical order."""
    package = __package__
    folders = [
        module.name for module in pkgutil.iter_modules(import_module(package).__path__) if module.ispkg
    ]
    modules = [f"{package}.{folder}.spec" for folder in sorted(folders)]
    return tuple(import_module(module).SPEC for module in modules if find_spec(module) is not None)
