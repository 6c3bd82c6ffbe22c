"""The model catalogue."""

from fastapi import APIRouter

from api.deps import PartsDep, Reader
from api.schemas import ModelList, ModelView
from api.views import model_view

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
async def list_models(_: Reader, parts: PartsDep) -> ModelList:
    """Every model that is switched on, with its limits and its price."""
    return ModelList(data=[model_view(model) for model in parts.catalogue.models.values()])


@router.get("/{model_id}")
async def get_model(model_id: str, _: Reader, parts: PartsDep) -> ModelView:
    """One model."""
    return model_view(parts.catalogue.model(model_id))
