"""Attention is computed over a tree of prefixes, by the backend that suits model and device."""
