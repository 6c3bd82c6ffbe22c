"""How providers are discovered, and what their SPECs have in common."""

from pathlib import Path
from typing import Any

import pytest

from adapters.providers import spec as spec_module
from adapters.providers.spec import ProviderSpec, provider_specs

FOLDER = Path(spec_module.__file__).parent


def test_every_folder_with_a_spec_is_discovered_in_alphabetical_order() -> None:
    folders = sorted(path.parent.name for path in FOLDER.glob("*/spec.py"))
    assert [spec.name for spec in provider_specs()] == folders


def test_every_folder_but_the_shared_tools_is_a_provider() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/__init__.py")}
    assert folders - {spec.name for spec in provider_specs()} == {"http"}


@pytest.mark.parametrize("spec", provider_specs(), ids=lambda spec: spec.name)
def test_settings_begin_with_the_name_and_the_provider_is_off_by_default(
    spec: ProviderSpec[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in spec.settings.variables():
        monkeypatch.delenv(variable.upper(), raising=False)

    assert all(variable.startswith(f"{spec.name}_") for variable in spec.settings.variables())
    assert not spec.settings().is_enabled
