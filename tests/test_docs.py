"""Every setting, code, metric and model is documented."""

import re
from inspect import signature
from pathlib import Path
from unittest.mock import Mock

import pytest
from prometheus_client import Counter, Gauge
from temporalio.common import MetricMeter
from temporalio.testing import ActivityEnvironment

from activities import metrics as worker_metrics
from activities.reconcile import ReconcileActivities, ReconcilePlan
from adapters.catalog.models_toml import _File, _Inputs, _Model, _Price, _Provider, _Timing, load_catalog
from api import metrics as api_metrics
from api.http.problems import _CODES
from composition.settings import setting_fields
from domain import temporal_names
from domain.errors import ServiceError, every_error
from domain.generation import Stage, Status
from domain.model import Model

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text()
ERRORS = (DOCS / "errors.md").read_text()
OPERATIONS = (DOCS / "operations.md").read_text()
MODELS = (DOCS / "models.md").read_text()
SETTINGS = setting_fields()
CATALOG = load_catalog(ROOT / "models.toml", providers=(), queue_timeout_seconds=1)

HTTP_ONLY_CODES = {*_CODES.values(), "http_error", ServiceError.code} - every_error().keys()
WORKER_METRICS = [name for name in vars(worker_metrics).values() if str(name).startswith("darkroom_")]
API_COUNTERS = [
    *(api_metrics.accepted, api_metrics.deferred, api_metrics.webhooks),
    *(
        api_metrics.shed,
        api_metrics.connections_closed,
        api_metrics.failed_keys,
        api_metrics.wrong_statements,
    ),
]
API_GAUGES = (*api_metrics.STATE, api_metrics.waiting)
FIELDS = [
    field for part in (_File, _Provider, _Model, _Inputs, _Price, _Timing) for field in part.model_fields
]
LONGEST_ADR_LINES = 60


def first_cells(document: str) -> list[str]:
    """Return what is in backquotes at the beginning of each table row."""
    return re.findall(r"^\| `([^`]+)` \|", document, re.MULTILINE)


def headings(document: str) -> list[str]:
    return re.findall(r"^## ([a-z_]+)$", document, re.MULTILINE)


def rows_of(document: str, name: str) -> list[str]:
    return [line for line in document.splitlines() if line.startswith(f"| `{name}` |")]


def default_text(default: object) -> str:
    if default is None or default == ():
        return "unset"
    if isinstance(default, tuple):
        return f"`{','.join(f'{each:g}' if isinstance(each, float) else each for each in default)}`"
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_setting_has_its_row_with_the_default(name: str) -> None:
    field = SETTINGS[name]
    [row] = rows_of(CONFIGURATION, name.upper())
    default = "required" if field.is_required() else default_text(field.default)
    assert row.split(" | ")[1] == default


def test_no_setting_is_documented_that_is_gone() -> None:
    documented = {name.lower() for name in first_cells(CONFIGURATION) if name.isupper()}
    assert documented == set(SETTINGS)


@pytest.mark.parametrize("field", sorted(set(FIELDS)))
def test_field_of_the_catalog_is_documented(field: str) -> None:
    assert rows_of(CONFIGURATION, field)


def test_every_model_has_its_row_and_no_other() -> None:
    assert first_cells(MODELS) == list(CATALOG.models)


@pytest.mark.parametrize("model", CATALOG.models.values(), ids=lambda model: model.id)
def test_model_is_documented_as_it_is(model: Model) -> None:
    [row] = rows_of(MODELS, model.id)
    _, _, provider, kinds, images, most, price, _ = (cell.strip() for cell in row.split("|"))

    assert provider == f"`{model.provider}`"
    assert kinds == ", ".join(f"`{kind}`" for kind in model.kinds)
    assert images.partition(",")[0].endswith(str(model.inputs.max_images) if model.inputs else "\u2013")
    assert int(most) == model.parameters["n"].schema["maximum"]
    assert all(str(step) in price for step in model.price.steps.values() or [model.price.per_image])


def test_errors_have_one_heading_each_and_no_other() -> None:
    assert sorted(headings(ERRORS)) == sorted({*every_error(), *HTTP_ONLY_CODES})


@pytest.mark.parametrize("stage", Stage)
def test_stage_has_its_row_with_its_status(stage: Stage) -> None:
    assert any(row.startswith(f"| `{stage}` | `{stage.status}` |") for row in rows_of(ERRORS, stage))


@pytest.mark.parametrize("status", Status)
def test_status_is_documented(status: Status) -> None:
    assert f"| `{status}` |" in ERRORS


@pytest.mark.parametrize("name", sorted(WORKER_METRICS))
def test_metric_of_the_worker_is_documented(name: str) -> None:
    assert rows_of(OPERATIONS, f"{name}_total")


async def test_every_part_of_the_reconciler_is_documented() -> None:
    """Run it on ports that all fail: each of its parts is counted."""
    [row] = rows_of(OPERATIONS, f"{worker_metrics.RECONCILES}_total")
    environment = ActivityEnvironment()
    environment.metric_meter = meter = Mock(MetricMeter)
    meter.with_additional_attributes.return_value = meter
    reconciler = ReconcileActivities(**{name: Mock() for name in signature(ReconcileActivities).parameters})

    await environment.run(reconciler.reconcile, ReconcilePlan())

    counted = meter.create_counter.return_value.add.call_args_list
    assert {call.args[1]["part"] for call in counted} == set(re.findall(r"`(\w+)`", row.split(": ")[-1]))


@pytest.mark.parametrize("counter", API_COUNTERS, ids=lambda counter: counter.describe()[0].name)
def test_counter_of_the_api_is_documented(counter: Counter) -> None:
    [described] = counter.describe()
    assert rows_of(OPERATIONS, f"{described.name}_total")


def test_histogram_of_the_api_is_documented() -> None:
    [described] = api_metrics.requests.describe()
    assert rows_of(OPERATIONS, described.name)


def test_every_metric_of_the_api_is_looked_at() -> None:
    held = [value for value in vars(api_metrics).values() if hasattr(value, "describe")]
    instances = {id(value) for value in held if not isinstance(value, type)}
    assert instances == {id(value) for value in (*API_COUNTERS, *API_GAUGES, api_metrics.requests)}


@pytest.mark.parametrize("gauge", API_GAUGES, ids=lambda gauge: gauge.describe()[0].name)
def test_gauge_of_the_api_is_documented(gauge: Gauge) -> None:
    [described] = gauge.describe()
    assert rows_of(OPERATIONS, described.name)


@pytest.mark.parametrize(
    "name",
    [
        *temporal_names.SEARCH_ATTRIBUTES,
        temporal_names.STATUS_QUERY,
        temporal_names.RESULT_SIGNAL,
        temporal_names.CANCEL_SIGNAL,
    ],
)
def test_what_operators_use_in_temporal_is_documented(name: str) -> None:
    assert rows_of(OPERATIONS, name)


@pytest.mark.parametrize("path", sorted((DOCS / "adr").glob("*.md")), ids=lambda path: path.stem)
def test_decision_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_ADR_LINES


@pytest.mark.parametrize(
    "path", sorted([*DOCS.rglob("*.md"), ROOT / "CONTRIBUTING.md"]), ids=lambda path: path.stem
)
def test_files_that_a_document_names_are_there(path: Path) -> None:
    """A path in backquotes that begins with one of our folders, and a link to a file."""
    text = path.read_text()
    folders = "activities|adapters|admin|api|composition|deploy|devstack|docs|domain|migrations|simulator"
    folders += "|tests|workflows"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", text)
    linked = re.findall(r"\]\(([\w./-]+\.md)(?:#[\w-]+)?\)", text)
    missing = [name for name in named if not (ROOT / name).exists()]
    missing += [name for name in linked if not (path.parent / name).exists()]
    assert missing == []
