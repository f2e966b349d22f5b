"""What names the engine: to lm-eval, and in the identity of each measurement."""

__all__ = ["ARITHMETIC", "MODEL_NAME"]

MODEL_NAME = "capspace"
"""The name of the model class in lm-eval's registry."""

ARITHMETIC = "2"
"""Part of every measurement's identity: raise it with any change that can move a score."""
