"""A machine has devices; this room lists them and allocates them to work units."""
