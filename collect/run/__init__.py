"""A run measures cells, each a model on a benchmark, in a given order."""
