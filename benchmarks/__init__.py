"""Measures Darkroom and a *baseline* Temporal workflow of the same shape, on the same servers, in one run.

`make bench` runs it; `docs/benchmarks.md` explains the numbers. No test asserts a measurement: every budget
is a ratio to the baseline of the same run, as absolute numbers depend on the machine.
"""
