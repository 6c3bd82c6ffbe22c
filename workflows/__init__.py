"""The story of a generation: deterministic, and importing nothing that touches the world."""
