"""Every process runs on the loop whose names have threads of their own."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from adapters.resolver import ResolvingEventLoop
from composition import ServiceSettings
from tests.unit.composition.test_setting_problems import SAFE


@pytest.mark.parametrize(
    ("module", "arguments"), [("api.__main__", []), ("worker", []), ("admin.__main__", ["providers"])]
)
def test_a_process_runs_on_it(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    entry, loops = import_module(module), []

    def run(_: object, loop_factory: Callable[[], Any]) -> None:
        loops.append(loop_factory())

    monkeypatch.setattr(entry, "run", run)
    monkeypatch.setattr(entry, "read_settings", lambda: ServiceSettings(**SAFE))
    monkeypatch.setattr(entry, "configure_logging", lambda *_: None)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    entry.main()

    [loop] = loops
    assert isinstance(loop, ResolvingEventLoop)
    loop.close()
