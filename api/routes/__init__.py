"""Each route parses, makes one call and responds: no Temporal, no SQL, no try."""
