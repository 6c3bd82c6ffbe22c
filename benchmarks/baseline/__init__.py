"""The baseline: a workflow of the same shape as a generation, with empty steps."""
