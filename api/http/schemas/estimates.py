"""Estimates: what a generation would cost, take and be refused for."""

from pydantic import BaseModel


class ExpectedSecondsView(BaseModel):
    """From the create to the end. `typical` is the catalog's; the percentiles are null below 20 samples.

    Attributes:
        typical: From the submit to the result, with an idle provider.
        samples: How many completed jobs of the model the percentiles are of; 200 at most.
    """

    typical: float
    p50: float | None
    p95: float | None
    samples: int


class StageSecondsView(BaseModel):
    """Seconds that half of the jobs, and 95 in 100, did not exceed."""

    p50: float | None
    p95: float | None


class ExpectedStagesView(BaseModel):
    """Of the same jobs: waiting for a provider, its work, and storing the images."""

    queue: StageSecondsView
    generating: StageSecondsView
    storing: StageSecondsView


class RefusalView(BaseModel):
    """Why a create would be refused now. `field` is set for `invalid_input`."""

    code: str
    field: str | None
    message: str


class EstimateView(BaseModel):
    """What a create with the same body would cost and take, and why it would be refused now.

    `price_credits` is null where the parameters are not valid.
    """

    model: str
    price_credits: int | None
    expected_seconds: ExpectedSecondsView
    stages: ExpectedStagesView
    would_be_refused: list[RefusalView]
