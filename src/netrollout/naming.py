"""Names and options: what the signature of a function says is what a user may say.

The keyword-only parameters of a function are its options: their annotations are the types, their defaults the defaults.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from netrollout.places import near
from netrollout.seeding import SEEDS
from netrollout.types import InputError


def options_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the options of a function and their types; ``*`` stands for any other, where it takes any."""
    hints = get_type_hints(function)
    words = inspect.signature(function).parameters.values()
    named = {p.name: hints.get(p.name, Any) for p in words if p.kind is p.KEYWORD_ONLY}
    return named | ({"*": hints.get(p.name, Any) for p in words if p.kind is p.VAR_KEYWORD})  # noqa: B035


def given(options: Mapping[str, Any], known: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return options converted to what is known of them.

    Raises
    ------
    InputError
        If there is no such option, or its value is none of its type; `place` begins the message.
    """
    values = {}
    for key, value in options.items():
        if key not in known and "*" not in known:
            raise InputError(f"{place} has no option {key!r}; {near(key, known)}")
        values[key] = converted(value, known.get(key, known.get("*")), f"{place}: {key}={value}")
    return values


def converted(value: Any, kind: Any, place: str) -> Any:
    """Return an option, often a text, as what its annotation says.

    Raises
    ------
    InputError
        If it cannot be; `place` begins the message.
    """
    kinds = get_args(kind) if get_origin(kind) not in (None, Literal) else (kind,)
    if value is None and NoneType in kinds:
        return None
    kind = kinds[0]
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise InputError(f"{place}: choose one of {', '.join(get_args(kind))}")
        return value
    if kind is bool:
        return converted(str(value).lower(), Literal["false", "true"], place) == "true"
    if kind not in (int, float):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{place}: expected a {'whole ' if kind is int else ''}number") from None
    if kind is float:
        return number
    if not number.is_integer() or not 0 <= number < SEEDS:
        raise InputError(f"{place}: expected a whole number from 0 to {SEEDS - 1}")
    return int(number)
