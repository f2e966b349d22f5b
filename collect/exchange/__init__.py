"""Scores of others are imported, and ours exported, in the formats of other harnesses."""
