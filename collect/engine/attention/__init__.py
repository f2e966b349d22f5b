"""Attention over a tree of prefixes."""
