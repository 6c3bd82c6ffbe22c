"""Parse, one call, answer: no Temporal, no SQL, no try."""
