"""The capability space: few components, from scores with gaps."""
