"""Operator commands: make the parts ready, make tenants and keys, grant credits."""
