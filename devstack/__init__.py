"""Finds, installs and runs every server that Darkroom needs, on a machine without Docker.

Three commands use it: `make up` (a stack with permanent data), `make demo` (a stack for one demonstration)
and `make test`, whose fixtures start only the servers. See `docs/operations.md`.
"""
