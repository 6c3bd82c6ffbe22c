"""The API describes itself, also the bodies that it reads by hand."""

from typing import Any

import pytest

from api.app import build_app
from api.http.schemas import GenerationCreate
from settings import Settings


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    settings = Settings(
        master_key="a master key that only these tests use",
        database_url="postgresql://user:password@127.0.0.1/nothing",
        s3_access_key="access",
        s3_secret_key="s" * 8,
    )
    return build_app(settings).openapi()


def test_every_field_of_a_generation_is_described(described: dict[str, Any]) -> None:
    body = described["paths"]["/v1/generations"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]

    assert set(schema["properties"]) == set(GenerationCreate.model_fields)
    assert "$ref" not in str(schema)


def test_an_upload_is_described_as_a_file(described: dict[str, Any]) -> None:
    body = described["paths"]["/v1/files"]["post"]["requestBody"]

    assert body["content"]["multipart/form-data"]["schema"]["properties"]["file"]["format"] == "binary"
