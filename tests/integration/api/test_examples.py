"""Every example of a request in the description of the API, sent to the running service."""

import pytest

from api.http import examples
from tests.integration.api.owned import BODY_IDS, calls_of, named_in_body, owner_of
from tests.integration.api.service import Service
from tests.support.description import Operation, operations

# Its token is a signature: no example can be one that is accepted.
NOT_FOR_CLIENTS = {"receive_webhook"}
SENT = [each for each in operations() if each.id not in NOT_FOR_CLIENTS]


@pytest.mark.parametrize("operation", SENT, ids=lambda each: each.id)
async def test_the_examples_of_an_operation_run(service: Service, operation: Operation) -> None:
    owner = await owner_of(await service.tenant())
    for call in calls_of(operation, owner):
        answer = await call.send(owner.tenant.http)
        assert answer.is_success, (call.body, answer.text)
    await owner.close()


def test_every_body_has_an_example_and_so_has_every_id_in_it() -> None:
    for operation in SENT:
        if "application/json" in operation.media_types:
            bodies = examples.BODIES.get(operation.id, {})
            assert bodies, f"{operation.id} has no example in api/http/examples.py"
            shown = {name for body in bodies.values() for name in body}
            assert {*named_in_body(operation)} - {"mask"} <= shown, operation.id
            assert shown.issuperset(name for name in BODY_IDS if name in shown)
