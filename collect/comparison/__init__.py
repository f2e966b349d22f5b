"""Scores of one model by two paths are compared, item by item where both have items."""
