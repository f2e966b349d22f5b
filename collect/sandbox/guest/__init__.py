"""What runs inside the sandbox, with Python's standard library alone."""
