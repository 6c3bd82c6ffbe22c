"""From an estimate to what its client sees."""

from api.http.schemas.estimates import (
    EstimateView,
    ExpectedSecondsView,
    ExpectedStagesView,
    RefusalView,
    StageSecondsView,
)
from api.services.estimates import Estimate
from domain.durations import ModelDurations, Phase

_DECIMALS = 3


def serialize_estimate(estimate: Estimate) -> EstimateView:
    durations = estimate.durations
    total = _seconds(durations, Phase.TOTAL)
    return EstimateView(
        model=estimate.model.id,
        price_credits=estimate.price_credits,
        expected_seconds=ExpectedSecondsView(
            typical=estimate.model.typical_seconds, p50=total.p50, p95=total.p95, samples=durations.samples
        ),
        stages=ExpectedStagesView(
            queue=_seconds(durations, Phase.QUEUE),
            generating=_seconds(durations, Phase.GENERATING),
            storing=_seconds(durations, Phase.STORING),
        ),
        would_be_refused=[
            RefusalView(code=refusal.code, field=refusal.field, message=refusal.message)
            for refusal in estimate.refusals
        ],
    )


def _seconds(durations: ModelDurations, phase: Phase) -> StageSecondsView:
    found = durations.by_phase.get(phase)
    if found is None:
        return StageSecondsView(p50=None, p95=None)
    return StageSecondsView(p50=round(found.p50, _DECIMALS), p95=round(found.p95, _DECIMALS))
