"""The HTTP entry point. It writes rows, starts workflows and asks them; it moves no credits."""
