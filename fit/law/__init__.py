"""Scaling laws of one target, their intervals, and laws of compute."""
