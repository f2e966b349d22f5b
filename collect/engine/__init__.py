"""The scoring engine: every distinct token prefix of a benchmark run is computed once."""
