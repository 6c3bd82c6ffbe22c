"""HTTP tools that the adapters of all providers share."""
