"""What things are, what may go wrong, and what we need from outside. Plain Python, no I/O."""
