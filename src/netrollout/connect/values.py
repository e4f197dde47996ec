"""Control values as people write them: `p=0.8,c=3`."""

from __future__ import annotations

import math

from netrollout.types import InputError


def parse_values(text: str, option: str) -> dict[str, float]:
    """Return {name: value} of a text such as ``p=0.8,c=3``.

    Parameters
    ----------
    text : str
        Pairs joined by commas.
    option : str
        Where the text comes from, for the errors, such as ``--setting``.

    Raises
    ------
    InputError
        If a pair is not NAME=NUMBER, a number is not finite, or a name comes twice.

    Examples
    --------
    >>> parse_values("p=0.8, c=3", "--setting")
    {'p': 0.8, 'c': 3.0}
    """
    values: dict[str, float] = {}
    for pair in text.split(","):
        name, _, number = (part.strip() for part in pair.partition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not name or not math.isfinite(value):
            raise InputError(f"{option} {text!r}: {pair.strip()!r} must look like NAME=NUMBER, such as p=0.8,c=3")
        if name in values:
            raise InputError(f"{option} {text!r}: {name} is given twice")
        values[name] = value
    return values
