"""Child processes and what they need: signals, ids, locks, ports, files, a data directory."""
