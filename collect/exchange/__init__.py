"""Scores are imported from other harnesses, and exported to their formats."""
