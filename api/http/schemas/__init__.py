"""What clients send and get, by resource. Separate from `domain` so that either can change alone."""
