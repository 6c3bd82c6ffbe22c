"""Several worker processes at the same rows: a provider's slots, and a tenant's accounts."""
