"""The model catalog."""

from fastapi import APIRouter

from api.deps import PartsDep, Reader
from api.schemas import ModelList, ModelView
from api.views import model_view

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
async def list_models(_: Reader, parts: PartsDep) -> ModelList:
    """Every model, with its limits and its price; `available` says whether it is switched on here."""
    catalog = parts.catalog
    return ModelList(data=[model_view(catalog, model) for model in catalog.models.values()])


@router.get("/{model_id}")
async def get_model(model_id: str, _: Reader, parts: PartsDep) -> ModelView:
    """One model."""
    return model_view(parts.catalog, parts.catalog.model(model_id))
