"""The service of the other tests of the API, and a billing system."""

import pytest

from tests.integration.api.operators.billing import Billing, billing_of
from tests.integration.api.service import Service


@pytest.fixture
async def billing(service: Service) -> Billing:
    return await billing_of(service)
