"""Inside the sandbox this code runs with Python's standard library alone."""
