"""A run measures the cells of a panel, each a model on a benchmark, in a given order."""
