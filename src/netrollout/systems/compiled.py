"""Functions compiled to machine code, which keep what was compiled on disk, and the uniforms that they draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def compiled(**options: Any) -> Callable[[Any], Any]:
    """Return a decorator as `numba.njit` with a cache on disk; without one where no place for it can be written.

    A service account or a read-only container has no such place: it compiles again in every process.
    """

    def decorate(function: Any) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba: no locator available
            return numba.njit(**options)(function)

    return decorate


@compiled(inline="always")
def uniform(key, number):  # type: ignore[no-untyped-def]
    """Return the number-th uniform of a key, in (0, 1)."""
    z = key * np.uint64(0x9E3779B97F4A7C15) + np.uint64(number) * np.uint64(0xD1342543DE82EF95)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (np.float64(z >> np.uint64(11)) + 0.5) * 2.0**-53
