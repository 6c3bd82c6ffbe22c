"""The model catalog."""

from fastapi import APIRouter

from api.deps import CanReadGenerations, ServicesDep
from api.http.declarations import declares
from api.http.schemas.models import ModelList, ModelView
from api.http.serializers import serialize_model
from domain.errors import ModelNotFound

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("")
async def list_models(_: CanReadGenerations, services: ServicesDep) -> ModelList:
    """List every model with its limits and price; `available` says whether it is switched on here."""
    catalog = services.catalog
    return ModelList(data=[serialize_model(catalog, model) for model in catalog.models.values()])


@router.get("/{model_id}")
@declares(ModelNotFound)
async def get_model(model_id: str, _: CanReadGenerations, services: ServicesDep) -> ModelView:
    """Get one model."""
    return serialize_model(services.catalog, services.catalog.get_model(model_id))
