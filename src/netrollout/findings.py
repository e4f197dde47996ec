"""Sentences that hold: a finding says what its numbers say, in the profile that made the page.

A chapter writes a sentence for each outcome and the condition under which it is true; which of them is shown is decided
by the numbers of the run::

    results.finding(
        "s2.gain",
        {"s2.gain > 0": "Rollout gains {s2.gain:.1f:interval} on its base.",
         "s2.gain < 0": "Rollout loses against its base: {s2.gain:.1f:interval}."},
        otherwise="The run does not tell rollout from its base ({s2.gain:.1f:interval}).",
    )

A condition compares recorded values, or one with a number, in clauses joined by ``and``; of a value with an interval
the whole interval must fulfil it.  ``a within m`` says that the interval of a lies between -m and m, ``a == b`` that
two values are the same, such as a text and ``same``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from netrollout.types import InputError

MINUS = "\u2212"
ENOUGH = 10  # independent units from which an interval needs no warning
FIELD = re.compile(r"\{([\w.-]+)((?::[^:{}]*)*)\}")  # {name}, {name:.2f}, {name:.2f:interval}
OPERATORS = (">", "<", ">=", "<=", "within", "==", "!=")
Entry = Mapping[str, Any]


def show(value: Any, form: str | None = None) -> str:
    """Write a number with three significant digits and no exponent, or in the given format; a missing one as a dash."""
    if value is None:
        return "\u2013"
    if isinstance(value, bool | str):
        return str(value)
    if form:
        return format(value, form).replace("-", MINUS)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f").replace("-", MINUS)
    return f"{value:.3g}".replace("-", MINUS) if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def phrase(entry: Entry, form: str | None = None, interval: bool = False, bare: bool = False) -> str:
    """Write a value, its interval and its unit; an interval over fewer than `ENOUGH` units says so."""
    words = show(entry["value"], form)
    if interval and "low" in entry:
        few = f"; few: {entry['n']}" if entry.get("n", ENOUGH) < ENOUGH else ""
        words += f" ({show(entry['low'], form)} to {show(entry['high'], form)}{few})"
    return words if bare or "unit" not in entry else f"{words}\u00a0{entry['unit']}"


def written(name: str, values: Mapping[str, Entry], options: str = "") -> str:
    """Write a value; options after its name are ``:.2f``, a format, and ``:interval`` and ``:bare``, see `phrase`."""
    asked = [option for option in options.split(":") if option]
    forms = [option for option in asked if option not in ("interval", "bare")]
    return phrase(values[name], forms[0] if forms else None, "interval" in asked, "bare" in asked)


def fill(sentence: str, values: Mapping[str, Entry]) -> str:
    """Put values into a sentence.

    Raises
    ------
    InputError
        If a value is not recorded.
    """
    _known(cited(sentence), values)
    return FIELD.sub(lambda field: written(field[1], values, field[2]), sentence)


def cited(sentence: str) -> list[str]:
    """Return the names of the values that a sentence shows."""
    return [field[1] for field in FIELD.finditer(sentence)]


def asked(condition: str) -> list[str]:
    """Return the names of the values that a condition compares."""
    sides = [side for left, _, right in _clauses(condition) for side in (left, right)]
    return [side for side in sides if not _is_literal(side)]


def holds(condition: str, values: Mapping[str, Entry]) -> bool:
    """Say whether the values fulfil a condition, see the module; a value that is missing (NaN) fulfils none.

    Raises
    ------
    InputError
        If the condition is none, or a value is not recorded.
    """
    _known(asked(condition), values)
    return all(_holds(*clause, values) for clause in _clauses(condition))


def _clauses(condition: str) -> list[tuple[str, str, str]]:
    clauses = []
    for clause in condition.split(" and "):
        parts = clause.split()
        if len(parts) != 3 or parts[1] not in OPERATORS:
            raise InputError(f"condition {condition!r}: expected NAME {' | '.join(OPERATORS)} NAME-or-number, and ...")
        clauses.append((parts[0], parts[1], parts[2]))
    return clauses


def _is_literal(side: str) -> bool:
    return re.fullmatch(r"-?\d*\.?\d+|True|False|same|mixed", side) is not None


def _known(names: list[str], values: Mapping[str, Entry]) -> None:
    if missing := [name for name in names if name not in values]:
        raise InputError(f"finding: no value {missing[0]!r} is recorded")


def _holds(left: str, operator: str, right: str, values: Mapping[str, Entry]) -> bool:
    if operator in ("==", "!="):
        same = _plain(left, values) == _plain(right, values)
        return same if operator == "==" else not same
    ours, theirs = _ends(left, values), _ends(right, values)
    if ours is None or theirs is None:
        return False
    (low, high), (other_low, other_high) = ours, theirs
    if operator == "within":
        return -other_low <= low and high <= other_low
    if operator in (">", ">="):
        return low > other_high or (operator == ">=" and low >= other_high)
    return high < other_low or (operator == "<=" and high <= other_low)


def _plain(side: str, values: Mapping[str, Entry]) -> str:
    return str(values[side]["value"] if side in values else side)


def _ends(side: str, values: Mapping[str, Entry]) -> tuple[float, float] | None:
    if side not in values:
        return float(side), float(side)
    entry = values[side]
    low, high = entry.get("low", entry["value"]), entry.get("high", entry["value"])
    missing = any(end is None or end != end for end in (entry["value"], low, high))
    return None if missing else (low, high)


def equivalence(low: float, high: float, margin: float) -> str:
    """Say what the interval of a difference, ours minus theirs, shows.

    Two policies are as effective as each other where the whole interval lies within the margin, which is fixed before
    anything is measured; a point estimate near zero shows nothing.

    Parameters
    ----------
    low, high : float
        Ends of the interval, in the unit of `margin`.
    margin : float
        Largest difference that does not matter; not negative.

    Returns
    -------
    str
        ``equivalent`` (within plus or minus the margin), else ``better`` or ``worse`` (zero lies outside), else
        ``undecided``.

    Raises
    ------
    InputError
        The ends are the wrong way round or not numbers, or the margin is negative.
    """
    if not low <= high or not margin >= 0:
        raise InputError(f"interval {low} to {high}, margin {margin}: need low <= high and margin >= 0")
    if -margin <= low and high <= margin:
        return "equivalent"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "undecided"


def effectiveness(outcomes: Mapping[str, str]) -> tuple[str, str]:
    """Judge the claim "as effective as" from what `equivalence` said of every comparison.

    Parameters
    ----------
    outcomes : mapping of str to str
        By the name of the comparison.

    Returns
    -------
    verdict : str
        ``replicated`` where every outcome is ``equivalent`` or ``better``, ``not reproduced`` where one is ``worse``,
        else ``undecided``.
    because : str
        The outcomes in words.
    """
    if not outcomes:
        raise InputError("no comparison to judge; give at least one outcome")
    held = all(outcome in ("equivalent", "better") for outcome in outcomes.values())
    lost = "not reproduced" if "worse" in outcomes.values() else "undecided"
    return "replicated" if held else lost, "; ".join(f"{name}: {word}" for name, word in outcomes.items())
