"""The order of steps: deterministic, and importing nothing that touches the outside."""
