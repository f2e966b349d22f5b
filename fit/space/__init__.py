"""A capability space explains many benchmarks by few components, from scores with gaps."""

from ._component_names import component_names
from ._place import Place
from ._space import CapabilitySpace

__all__ = ["CapabilitySpace", "Place", "component_names"]
