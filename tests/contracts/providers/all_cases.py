"""Every contract case: one module for each provider in `cases/`."""

from importlib import import_module
from pathlib import Path

from tests.contracts.providers.job_case import JobCase
from tests.contracts.providers.synchronous_case import SynchronousCase

_MODULES = sorted(path.stem for path in (Path(__file__).parent / "cases").glob("*.py"))
CASES: list[JobCase | SynchronousCase] = [
    import_module(f"tests.contracts.providers.cases.{module}").CASE for module in _MODULES
]
JOB_CASES = [case for case in CASES if isinstance(case, JobCase)]
SYNCHRONOUS_CASES = [case for case in CASES if isinstance(case, SynchronousCase)]
