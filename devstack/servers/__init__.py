"""The servers of a stack: PostgreSQL, Temporal, object store, simulators, and our processes."""
