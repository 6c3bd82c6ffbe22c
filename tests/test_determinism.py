"""Workflow code names no clock, no dice and no outside, and what is planted in it is refused."""

import ast

import pytest

from tests.support.determinism import PACKAGES, sandbox_paths, violations, workflow_modules

CODE = workflow_modules()

# (where, what is added to the module, what is said of it)
PLANTED = [
    # Clocks
    ("workflows.attempt", "datetime.now()", "names datetime.datetime.now"),
    (
        "workflows.slot_wait",
        "from datetime import datetime as clock\nclock.now()",
        "names datetime.datetime.now",
    ),
    ("workflows.progress", "import datetime as d\nd.datetime.utcnow()", "names datetime.datetime.utcnow"),
    ("workflows.progress", "from datetime import date\ndate.today()", "names datetime.date.today"),
    ("workflows.progress", "clock = datetime\nclock.now()", "names datetime.datetime.now"),
    ("workflows.progress", "now = datetime.now", "names datetime.datetime.now"),
    ("workflows.progress", "getattr(datetime, 'now')()", "looks up a name that nobody can read here"),
    ("workflows.progress", "def f(clock): return clock.now()", "calls now() of something"),
    (
        "workflows.attempt",
        "from domain import generation\ngeneration.datetime.now()",
        "names datetime.datetime.now",
    ),
    ("domain.provider", "def f(): import time; time.time()", "imports time"),
    ("domain.charging", "from time import monotonic as ticks\nticks()", "imports time.monotonic"),
    # Dice
    ("workflows.attempt", "import random\nrandom.random()", "imports random"),
    ("workflows.attempt", "from random import uniform", "imports random.uniform"),
    ("domain.generation", "import uuid\nuuid.uuid4()", "imports uuid"),
    ("domain.generation", "from uuid import uuid4 as new_id", "imports uuid.uuid4"),
    ("domain.provider", "import secrets\nsecrets.token_hex()", "imports secrets"),
    ("domain.provider", "import os\nos.urandom(8)", "imports os"),
    ("domain.provider", "hash('a')", "names __builtins__.hash"),
    ("domain.provider", "sorted(items, key=id)", "names __builtins__.id"),
    ("domain.provider", "for each in {'a', 'b'}: each", "depends on the order of a set"),
    (
        "domain.provider",
        "[each for each in _NAMES]\n_NAMES = frozenset(('a',))",
        "depends on the order of a set",
    ),
    ("domain.provider", "list(set('ab') | others)", "depends on the order of a set"),
    ("domain.provider", "','.join({'a', 'b'})", "depends on the order of a set"),
    ("domain.provider", "set('ab').pop()", "depends on the order of a set"),
    # The outside
    ("workflows.generation", "open('/etc/hosts')", "names __builtins__.open"),
    ("workflows.generation", "import socket\nsocket.create_connection(('a', 1))", "imports socket"),
    ("workflows.generation", "import subprocess", "imports subprocess"),
    ("workflows.generation", "import threading", "imports threading"),
    ("workflows.generation", "import httpx", "imports httpx"),
    ("workflows.generation", "from adapters import temporal", "imports adapters.temporal"),
    ("workflows.generation", "from temporalio.client import Client", "imports temporalio.client.Client"),
    ("workflows.generation", "print('here')", "names __builtins__.print"),
    ("workflows.generation", "eval('1')", "names __builtins__.eval"),
    ("workflows.generation", "__import__('os').getpid()", "names __builtins__.__import__"),
    ("domain.input_files", "def f(file): return file.path.read_bytes()", "calls read_bytes() of something"),
    ("domain.input_files", "Path('a').exists()", "calls exists() of something"),
    ("domain.input_files", "Path.cwd()", "names pathlib.Path.cwd"),
    # What the workflow's own event loop cannot do, or not in an order that a replay finds again
    ("workflows.generation", "asyncio.wait([])", "names asyncio.wait"),
    ("workflows.generation", "asyncio.as_completed([])", "names asyncio.as_completed"),
    ("workflows.generation", "asyncio.to_thread(f)", "names asyncio.to_thread"),
    (
        "workflows.generation",
        "def f(loop): loop.run_in_executor(None, g)",
        "calls run_in_executor() of something",
    ),
    # Around the checks
    ("workflows.steps", "workflow.unsafe.is_replaying()", "names temporalio.workflow.unsafe.is_replaying"),
    (
        "workflows.steps",
        "CreditActivities.reserve_credits(credits, 'a')",
        "calls activities.credits.CreditActivities.reserve_credits, which a workflow may only schedule",
    ),
    # State that outlives a run
    ("workflows.attempt", "def f():\n global _SEEN\n _SEEN = 1", "changes the module's _SEEN"),
    (
        "workflows.attempt",
        "def f(): steps.STORE_SECONDS = 1",
        "changes steps.STORE_SECONDS, which all runs share",
    ),
    ("workflows.attempt", "def f(): Attempt.count += 1", "changes Attempt.count, which all runs share"),
    (
        "workflows.attempt",
        "_SEEN = []",
        "shares a value that can be changed; declare it as a Mapping or Sequence",
    ),
    (
        "domain.provider",
        "from itertools import count\nclass Ids:\n next_id = count()",
        "shares a value that can be changed; declare it as a Mapping or Sequence",
    ),
]
ALLOWED = [
    "workflow.now() + timedelta(seconds=workflow.random().random())",
    "def f(): yield asyncio.sleep(1), asyncio.wait_for(g(), 1), workflow.wait([g()])",
    "from collections.abc import Mapping\n_TEXTS: Mapping[str, str] = {'a': 'b'}",
    "sorted({'b', 'a'}), 'a' in {'a'}, len(set('ab'))",
    "def f(job): job.id, job.input, job.is_open",
]


def _with(module: str, code: str) -> dict[str, ast.Module]:
    """Return the real code, with some more at the end of one module."""
    tree = CODE[module]
    return {**CODE, module: ast.Module([*tree.body, *ast.parse(code).body], tree.type_ignores)}


def test_workflow_code_is_deterministic() -> None:
    assert {module.partition(".")[0] for module in CODE} == set(PACKAGES)
    assert violations(CODE) == []


@pytest.mark.parametrize(("module", "code", "said"), PLANTED)
def test_what_is_planted_is_refused(module: str, code: str, said: str) -> None:
    found = [each.partition(" ") for each in violations(_with(module, code))]
    assert said in [what for _, _, what in found]
    assert {place.partition(":")[0] for place, _, _ in found} == {module}


@pytest.mark.parametrize("code", ALLOWED)
def test_what_is_deterministic_is_allowed(code: str) -> None:
    assert violations(_with("workflows.generation", code)) == []


@pytest.mark.parametrize("path", [".".join(path) for path in sandbox_paths()])
def test_all_that_the_sandbox_refuses_is_refused(path: str) -> None:
    """Hold also what a later SDK adds to its list."""
    member = path.removeprefix("__builtins__.").removesuffix(".__call__").replace("*", "anything")
    root = member.partition(".")[0]
    code = f"{member}()" if path.startswith("__builtins__") else f"import {root}\n{member}()"
    assert violations({"domain.charging": ast.parse(code)}) != []
