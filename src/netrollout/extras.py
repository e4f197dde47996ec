"""Libraries that an extra of the package brings, and what to say where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from netrollout.types import InputError


@contextmanager
def brought_by(extra: str) -> Iterator[None]:
    """Import libraries inside; one that is missing is said with the command that installs it.

    Raises
    ------
    InputError
        If a library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed; pip install 'netrollout[{extra}]'") from None
