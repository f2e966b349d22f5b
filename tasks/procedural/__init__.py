"""Generated benchmarks that a model of a few thousand parameters can show skill on."""
