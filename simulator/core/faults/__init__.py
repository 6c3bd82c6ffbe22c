"""Faults: their kinds, which are switched on, and how they are stored."""
