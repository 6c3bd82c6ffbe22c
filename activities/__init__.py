"""The side effects of a generation, one class per concern, given their ports."""
