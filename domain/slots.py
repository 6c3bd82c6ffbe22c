"""What an attempt says when it asks for a slot at its provider. Pure data."""

from dataclasses import dataclass

from domain.provider import AttemptRef


@dataclass(frozen=True)
class SlotRequest:
    """What `ask_for_place` is given; older workflows give an AttemptRef, which has the first two fields.

    left_because: For a second attempt that asks for the first time, why the first provider was left, as a
        code of domain/errors.py.
    """

    generation_id: str
    ordinal: int = 1
    left_because: str | None = None

    @property
    def attempt(self) -> AttemptRef:
        return AttemptRef(self.generation_id, self.ordinal)
