"""Whether the service responds, and what it can reach."""

from typing import Literal

from pydantic import BaseModel


class HealthView(BaseModel):
    """The process responds."""

    status: Literal["ok"] = "ok"


class ReadinessView(BaseModel):
    """`unavailable` without PostgreSQL, `degraded` without something else."""

    status: Literal["ok", "degraded", "unavailable"]
    dependencies: dict[str, Literal["ok", "down"]]


class ReceivedView(BaseModel):
    """A webhook was stored, now or before."""

    status: Literal["received"] = "received"
