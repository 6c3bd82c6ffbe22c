"""The model catalogue."""

from fastapi import APIRouter

from api.deps import PartsDep, Reader
from api.schemas import ModelList, ModelView
from api.views import model_view

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
async def list_models(_: Reader, parts: PartsDep) -> ModelList:
    """Every model, with its limits and its price; `available` says whether it is switched on here."""
    catalogue = parts.catalogue
    return ModelList(data=[model_view(catalogue, model) for model in catalogue.models.values()])


@router.get("/{model_id}")
async def get_model(model_id: str, _: Reader, parts: PartsDep) -> ModelView:
    """One model."""
    return model_view(parts.catalogue, parts.catalogue.model(model_id))
