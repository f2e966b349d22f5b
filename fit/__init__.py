"""Numbers only: score table, capability space, scaling laws, intervals, figures, report."""
