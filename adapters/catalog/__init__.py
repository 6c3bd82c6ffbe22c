"""The model catalog: models.toml, and the JSON Schemas in it."""
