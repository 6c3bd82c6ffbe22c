"""What a generation would cost, how long it would take and why it would be refused, without making it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from api.services.admission import Admission
from api.services.durations import Durations
from api.services.generations import GenerationCommand
from api.services.input_files import InputFileService
from domain.auth import Caller
from domain.catalog import Catalog
from domain.durations import ModelDurations
from domain.errors import FileQuotaExceeded, InvalidInput, MaxCostExceeded, ModelUnavailable, ServiceError
from domain.input_files import FILE_ID, InputFile
from domain.model import Model


@dataclass(frozen=True)
class Refusal:
    """A reason why a create with the same body would be refused now. field: for `invalid_input`."""

    code: str
    message: str
    field: str | None = None


@dataclass(frozen=True)
class Estimate:
    """What is known of a request before it is made.

    price_credits: None where the parameters that decide it are not valid.
    """

    model: Model
    price_credits: int | None
    durations: ModelDurations
    refusals: tuple[Refusal, ...]


class Estimates:
    """Checks all that a create checks, short of fetching and storing."""

    def __init__(
        self, catalog: Catalog, inputs: InputFileService, admission: Admission, durations: Durations
    ) -> None:
        self._catalog = catalog
        self._inputs = inputs
        self._admission = admission
        self._durations = durations

    async def estimate(
        self, caller: Caller, command: GenerationCommand, invalid_fields: Sequence[tuple[str, str]] = ()
    ) -> Estimate:
        """invalid_fields: what a create refuses first, with the reason. Raises ModelNotFound."""
        model = self._catalog.get_model(command.model)
        refusals = [Refusal(InvalidInput.code, message, field) for field, message in invalid_fields]
        if not self._catalog.is_available(model):
            refusals += _each(ModelUnavailable())
        invalid = await self._invalid_fields(caller, model, command)
        refusals += [Refusal(InvalidInput.code, message, field) for field, message in invalid]
        price = None
        if not any(field in model.parameters for field, _ in invalid):
            price = model.price_of(command.parameters)
            if command.max_cost is not None and price > command.max_cost:
                refusals += _each(
                    MaxCostExceeded(f"it costs {price} credits, and max_cost is {command.max_cost}")
                )
            for error in await self._admission.refusals_of(caller, price):
                refusals += _each(error)
        refusals += await self._file_refusals(caller, command)
        return Estimate(model, price, await self._durations.of_model(model.id), tuple(refusals))

    async def _invalid_fields(
        self, caller: Caller, model: Model, command: GenerationCommand
    ) -> Sequence[tuple[str, str]]:
        try:
            has_mask = command.mask is not None
            model.validate(command.parameters, command.metadata, len(command.inputs), mask=has_mask)
        except InvalidInput as error:
            return error.errors
        sources = {f"inputs.{index}": source for index, source in enumerate(command.inputs)}
        if command.mask is not None:
            sources["mask"] = command.mask
        found = await self._inputs.look_up(caller.tenant_id, list(sources.values()))
        return list(_image_errors(model, dict(zip(sources, found, strict=True))))

    async def _file_refusals(self, caller: Caller, command: GenerationCommand) -> list[Refusal]:
        new_files = sum(not FILE_ID.fullmatch(source) for source in command.sources)
        if new_files:
            try:
                await self._admission.admit_files(caller, new_files)
            except FileQuotaExceeded as error:
                return _each(error)
        return []


def _image_errors(model: Model, found: Mapping[str, InputFile | str | None]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the images that are stored, and with words that name none."""
    wrong = [(field, file) for field, file in found.items() if isinstance(file, str)]
    yield from wrong
    files = {field: file for field, file in found.items() if isinstance(file, InputFile)}
    if model.inputs is not None and len(files) == len(found):
        mask = files.pop("mask", None)
        yield from model.inputs.file_errors(tuple(files.values()), mask)


def _each(error: ServiceError) -> list[Refusal]:
    return [Refusal(error.code, str(error))]
