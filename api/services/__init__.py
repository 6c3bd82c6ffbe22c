"""What routes call: each service does one thing with ports and knows nothing of HTTP."""
