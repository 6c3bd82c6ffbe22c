"""What runs in a child process only: `python -m adapters.images.child LIMITS`."""
