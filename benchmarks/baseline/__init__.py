"""The reference: a workflow of the same shape as a generation, whose steps do nothing."""
