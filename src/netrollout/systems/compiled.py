"""Functions compiled to machine code, which keep what was compiled on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


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
