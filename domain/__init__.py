"""The types of the service, its errors, and the ports to everything outside. Plain Python, no I/O."""
