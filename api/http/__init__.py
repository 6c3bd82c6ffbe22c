"""The wire: schemas, serializers, problems, pagination, and what a request body may be."""
