"""The side effects of a generation: one class per concern, each given its ports."""
