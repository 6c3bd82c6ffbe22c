"""The OpenAPI document describes every body, also those that are read by hand."""

from typing import Any

import pytest

from api.app import BodyLimits, build_app
from api.http.schemas import GenerationCreate


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return build_app(BodyLimits(1_000_000, 1_000_000)).openapi()


def test_every_field_of_a_generation_is_described(described: dict[str, Any]) -> None:
    body = described["paths"]["/v1/generations"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]

    assert set(schema["properties"]) == set(GenerationCreate.model_fields)
    assert "$ref" not in str(schema)


def test_an_upload_is_described_as_a_file(described: dict[str, Any]) -> None:
    body = described["paths"]["/v1/files"]["post"]["requestBody"]

    assert body["content"]["multipart/form-data"]["schema"]["properties"]["file"]["format"] == "binary"
