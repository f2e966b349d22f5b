"""Numbers only: score table, capability space, scaling laws, intervals, figures, report."""

from capspace.fit.law import ScalingLaw
from capspace.fit.read import read_table
from capspace.fit.space import CapabilitySpace
from capspace.fit.table import ScoreTable

__all__ = ["CapabilitySpace", "ScalingLaw", "ScoreTable", "read_table"]
