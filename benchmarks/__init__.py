"""Measures Darkroom beside a *baseline* Temporal workflow of the same shape, on the same servers, in one run.

`make bench` runs it; `docs/benchmarks.md` says how to read it. Nothing measured here is asserted in a test: a
machine's speed is its own affair, so every number stands beside its reference and every budget is a ratio.
"""
