"""A pool of decoders."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.adapters.images.decoder_site import Site, site_with


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_with(tmp_path) as site:
        yield site
