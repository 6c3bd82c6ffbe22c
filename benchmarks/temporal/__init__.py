"""A Temporal server on PostgreSQL, built, configured and run for a benchmark."""
