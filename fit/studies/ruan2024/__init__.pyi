from ._reproduce import Reproduction as Reproduction
from ._reproduce import reproduce as reproduce
from .data import Study as Study
from .data import load_study as load_study
