"""A run: which cells of models and benchmarks are measured, in which order."""
