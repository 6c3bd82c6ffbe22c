"""The baseline target: a submit may be reported before its start gets a response."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import Client

from benchmarks.baseline.target import BaselineTarget
from benchmarks.baseline.worker import SUBMITTED
from benchmarks.errors import RunFailed


class HastyServer:
    """Reports a workflow's submit, and ends the worker's output, before it responds to the start."""

    def __init__(self, *, reports: bool) -> None:
        self.stdout = asyncio.StreamReader()
        self.signals: list[str] = []
        self._reports = reports
        worker = cast("asyncio.subprocess.Process", SimpleNamespace(stdout=self.stdout))
        self.target = BaselineTarget(cast("Client", self), worker, job_seconds=0)
        self._listening = asyncio.create_task(self.target.listen())

    async def start_workflow(self, _run: object, _argument: str, *, id: str, **_: Any) -> SimpleNamespace:
        if self._reports:
            self.stdout.feed_data(f"{SUBMITTED} {id}\n".encode())
        self.stdout.feed_eof()
        await self._listening
        return SimpleNamespace(id=id, signal=self._signal, result=self._result)

    async def _signal(self, _signal: object, workflow_id: str) -> None:
        self.signals.append(workflow_id)

    async def _result(self) -> None:
        assert self.signals


async def test_a_submit_before_the_start_response_counts() -> None:
    server = HastyServer(reports=True)
    sample = await server.target.sample()

    assert server.signals == [sample.workflow_id]


async def test_a_worker_that_ends_without_a_submit_fails_the_run() -> None:
    with pytest.raises(RunFailed, match="the baseline worker ended"):
        await HastyServer(reports=False).target.sample()
