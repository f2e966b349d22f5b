"""Generated benchmarks can show the skill of a model of a few thousand parameters."""
