"""The error table of every provider: consistent, and used by the adapter for errors that it does not name."""

from pathlib import Path

import httpx
import pytest

from adapters.providers.http.error_mapping import ErrorMapping
from adapters.providers.spec import provider_specs
from domain.errors import ContentRejected, ServiceError, SubmitAmbiguous, TransientError
from tests.contracts.providers.all_cases import JOB_CASES, SYNCHRONOUS_CASES
from tests.contracts.providers.job_case import JobCase
from tests.contracts.providers.simulated import SimulatedProvider
from tests.contracts.providers.synchronous_case import SynchronousCase
from tests.unit.adapters.providers.inline_image_requests import KEY, asking, client_answering
from tests.unit.adapters.providers.mock_http import MockHttp

ROWS = [(spec.name, name, mapping) for spec in provider_specs() for name, mapping in spec.errors.items()]
URL = "https://provider.test/v1"
with_jobs = pytest.mark.parametrize("case", JOB_CASES, ids=lambda case: case.name)
synchronous = pytest.mark.parametrize("case", SYNCHRONOUS_CASES, ids=lambda case: case.name)


@pytest.mark.parametrize(("provider", "name", "mapping"), ROWS, ids=lambda value: str(value)[:40])
def test_a_row_is_consistent(provider: str, name: str, mapping: ErrorMapping) -> None:
    is_about_content = mapping.error is ContentRejected

    assert (mapping.moderated_at is not None) is is_about_content
    assert not (mapping.does_not_charge and (is_about_content or mapping.error is SubmitAmbiguous))
    assert mapping.does_not_charge or not issubclass(mapping.error, TransientError)


@with_jobs
@pytest.mark.parametrize(
    ("status", "names"),
    [
        (429, ["429"]),
        (500, ["5xx on submit"]),
        (502, ["5xx on submit"]),
        (503, ["5xx on submit"]),
        (400, ["4xx on submit", "4xx"]),
        (402, ["402", "4xx on submit", "4xx"]),
        (422, ["422 on submit", "422"]),
    ],
)
async def test_a_submit_raises_what_the_table_says(
    case: JobCase, tmp_path: Path, status: int, names: list[str]
) -> None:
    table = case.spec.errors
    expected = next(table[name] for name in names if name in table)
    adapter = case.make(MockHttp(httpx.Response(status)).http, SimulatedProvider(tmp_path), KEY)
    with pytest.raises(ServiceError) as caught:
        await adapter.submit(case.submission("a fox"))

    assert type(caught.value) is expected.error


@synchronous
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 422, 429, 500, 502, 503, 504])
async def test_a_call_that_gives_no_reason_raises_what_the_table_says(
    case: SynchronousCase, status: int, tmp_path: Path
) -> None:
    table = case.spec.errors
    expected = table[str(status)] if str(status) in table else table[f"{status // 100}xx"]
    adapter = case.make(client_answering(httpx.Response(status)), URL, KEY)
    with pytest.raises(ServiceError) as caught:
        await adapter.generate(asking(case.name), tmp_path)

    assert type(caught.value) is expected.error


@synchronous
async def test_a_call_without_an_image_ends_as_the_table_says(case: SynchronousCase, tmp_path: Path) -> None:
    expected = case.spec.errors["200 without an image"]
    answer = await case.make(client_answering({}), URL, KEY).generate(asking(case.name), tmp_path)

    assert (answer.result.code, answer.result.does_not_charge) == (
        expected.error.code,
        expected.does_not_charge,
    )
