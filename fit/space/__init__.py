"""The capability space: few components, from scores with gaps."""

from ._space import CapabilitySpace, Place

__all__ = ["CapabilitySpace", "Place"]
