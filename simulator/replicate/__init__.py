"""Replicate's predictions API as its clients see it: problems, signed webhooks and uploads included."""
