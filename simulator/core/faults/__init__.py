"""Faults: their kinds, the active ones, and their rows."""
