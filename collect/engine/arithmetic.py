"""The engine has a name in lm-eval's registry and a version of its arithmetic in identities."""

__all__ = ["ARITHMETIC", "MODEL_NAME"]

MODEL_NAME = "capspace"
"""The name of the model class in lm-eval's registry."""

ARITHMETIC = "2"
"""Part of every measurement's identity: raise it with any change that can move a score."""
