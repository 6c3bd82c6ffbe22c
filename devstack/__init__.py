"""Finds, installs and runs every server that Darkroom needs, on a machine without Docker.

Three commands stand on it: `make up` (a stack that keeps its data), `make demo` (a stack that lasts one
demonstration) and `make test`, whose fixtures start the servers alone. See `docs/operations.md`.
"""
