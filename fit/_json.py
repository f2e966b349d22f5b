"""Values are converted to what JSON can hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["json_dict", "json_safe"]


def json_safe(value: object) -> Any:
    """Return ``value`` in JSON's own types; NaN and infinities, which JSON lacks, become None.

    Arrays become lists, data classes and pydantic's models become mappings.

    Raises
    ------
    TypeError
        It holds something that has no form in JSON.

    """
    from pydantic_core import to_jsonable_python  # 40 ms, which a light command can do without

    return to_jsonable_python(value, inf_nan_mode="null", fallback=_of_numpy)


def json_dict(value: Mapping[Any, object]) -> dict[str, Any]:
    """Return a mapping in JSON's own types; see ``json_safe``."""
    safe: dict[str, Any] = json_safe(value)
    return safe


def _of_numpy(value: object) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
