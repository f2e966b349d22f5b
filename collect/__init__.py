"""Gather scores: checkpoints, the store, the harness adapter, the command line."""
