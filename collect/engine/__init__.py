"""The scoring engine computes every distinct token prefix of a benchmark run once."""
