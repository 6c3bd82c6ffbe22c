"""Bringing bytes home: fetched under guard, looked at whole, kept in our own S3-compatible storage."""
