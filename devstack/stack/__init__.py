"""A whole stack: started, described in stack.json, controlled, stopped."""
