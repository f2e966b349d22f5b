"""Random numbers are drawn from a seed, which is checked first."""

from __future__ import annotations

from numpy.random import Generator, default_rng

from ..errors import FitError

__all__ = ["random_generator"]


def random_generator(random_state: object, *stream: int) -> Generator:
    """Return NumPy's generator of a seed, and of a stream where several are drawn from one seed.

    Raises
    ------
    FitError
        The seed is no whole number of at least 0, nor anything else that NumPy draws from.

    """
    try:
        if isinstance(random_state, str | float):
            raise TypeError
        seed = [random_state, *stream] if stream else random_state
        return default_rng(seed)  # type: ignore[arg-type] # NumPy refuses what is no seed
    except (TypeError, ValueError):
        raise FitError(
            f"random_state is {random_state!r}; it must be a whole number of at least 0"
        ) from None
