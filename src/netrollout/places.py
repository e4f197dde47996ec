"""What people write by hand, read with its place: YAML with line numbers, pairs ``key=value``, fields of a CSV line.

Values of YAML are taken from the composed nodes; nothing is ever constructed from a tag.
"""

from __future__ import annotations

import csv
import difflib
import itertools
import math
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from netrollout.store import read_text
from netrollout.types import InputError

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
LONGEST = 60  # characters of a value in a message


class PlaceError(InputError):
    """A file is wrong at a place; the message begins with file, line, and key or column.

    Attributes
    ----------
    line : int
        From 1; 0 where there is none.
    key : str
        Dotted from the top, such as ``controls.p.levels``; empty for the file as a whole.
    more : int
        Further errors in the same file.
    """

    word = "key"

    def __init__(self, file: str | Path, what: str, line: int | None = None, key: str | None = None) -> None:
        place = ", ".join(([f"line {line}"] if line else []) + ([f"{self.word} {key}"] if key else []))
        super().__init__(f"{file}: {place}: {what}" if place else f"{file}: {what}")
        self.line, self.key, self.more = line or 0, key or "", 0


def near(word: str, known: Collection[str], otherwise: str = "known are") -> str:
    """Say which known words resemble one that is not known, or which there are.

    Examples
    --------
    >>> near("horizn", ["horizon", "discount"])
    'did you mean horizon?'
    >>> near("x", ["horizon", "discount"])
    'known are horizon, discount'
    """
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else f"{otherwise} {', '.join(known) or 'none'}"


def short(value: Any) -> str:
    """Write a value of a file so that it fits into a message."""
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def number_of(text: str) -> float:
    """Return the finite decimal number that a text writes, NaN where it writes none."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else math.nan


def read_pairs(texts: str | Sequence[str], where: str, form: str = "NAME=NUMBER, such as p=0.8,c=3") -> dict[str, str]:
    """Return {name: value} of texts such as ``phase=after``, or of one text with commas between them.

    Parameters
    ----------
    texts : str or sequence of str
    where : str
        What the texts are, for the errors.
    form : str
        What a pair should look like.

    Raises
    ------
    InputError
        If a text is no pair or a name comes twice.

    Examples
    --------
    >>> read_pairs("p=0.8, c=3", "setting")
    {'p': '0.8', 'c': '3'}
    """
    found: dict[str, str] = {}
    for text in texts.split(",") if isinstance(texts, str) else texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value:
            raise InputError(f"{where} {short(text.strip())!r}: expected {form}")
        if name in found:
            raise InputError(f"{where} {short(name)}: given twice")
        found[name] = value
    return found


def read_numbers(
    texts: str | Sequence[str], where: str, form: str = "NAME=NUMBER, such as p=0.8,c=3"
) -> dict[str, float]:
    """Return {name: number} of texts such as ``p=0.8``, as `read_pairs` does.

    Raises
    ------
    InputError
        Also if a value is no finite number.

    Examples
    --------
    >>> read_numbers("p=0.8, c=3", "setting")
    {'p': 0.8, 'c': 3.0}
    """
    pairs = read_pairs(texts, where, form)
    for name, text in pairs.items():
        if math.isnan(number_of(text)):
            raise InputError(f"{where} {short(name)}={short(text)}: expected {form}")
    return {name: float(text) for name, text in pairs.items()}


def csv_fields(line: str) -> list[str] | str:
    """Return the fields of one line of CSV, or what is wrong with it."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        if "field larger" in str(error):
            return f"a field of more than {csv.field_size_limit()} characters"
        return "a quotation mark is not closed; a truncated line?"


class Entry:
    """A node of a YAML file with its place.

    Parameters
    ----------
    path : str or Path
    key : str
        Dotted from the top.
    node : yaml.Node
    line : int
        Of the key; 0 where the content came from no file.
    """

    def __init__(self, path: str | Path, key: str, node: yaml.Node, line: int) -> None:
        self.path, self.key, self.line, self._node = path, key, line, node

    def wrong(self, what: str) -> NoReturn:
        """Raise the error that names this place."""
        raise PlaceError(self.path, what, self.line, self.key)

    def _line(self, node: yaml.Node) -> int:
        return node.start_mark.line + 1 if self.line else 0

    @property
    def is_text(self) -> bool:
        """Whether it is a text, and not a number, a date or nothing."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.tag == "tag:yaml.org,2002:str"

    @property
    def is_null(self) -> bool:
        """Whether nothing is given."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.tag == "tag:yaml.org,2002:null"

    def entries(self, known: Collection[str] = (), required: Collection[str] = ()) -> dict[str, Entry]:
        """Return the parts of a mapping by key; with `known`, other keys are refused."""
        if not isinstance(self._node, yaml.MappingNode):
            self.wrong("expected a mapping with " + (", ".join(known) or "name: value"))
        found: dict[str, Entry] = {}
        for key, value in self._node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            part = Entry(self.path, f"{self.key}.{name}".strip("."), value, self._line(key))
            if not name:
                part.wrong("a key must be a name")
            if name in found:
                part.wrong(f"given twice; the first stands in line {found[name].line}")
            if known and name not in known:
                part.wrong(f"unknown; {near(name, known)}")
            found[name] = part
        for name in required:
            if name not in found:
                self.wrong(f"{name} is missing")
        return found

    def items(self) -> list[Entry]:
        """Return the parts of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            self.wrong("expected a list, [a, b, ...]")
        return [Entry(self.path, self.key, node, self._line(node)) for node in self._node.value]

    def content(self) -> Any:
        """Return what the node holds, as plain Python values."""
        try:
            return yaml.SafeLoader("").construct_document(self._node)
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            self.wrong(f"cannot be read: {short(error)}")

    def text(self) -> str:
        """Return a text, or a number as it is written."""
        if not isinstance(self._node, yaml.ScalarNode) or self.is_null:
            self.wrong("expected a text")
        return str(self._node.value)

    def number(self, good: Callable[[float], bool] = math.isfinite, rule: str = "") -> float:
        """Return a finite number; `rule` says of which kind."""
        if isinstance(self._node, yaml.ScalarNode) and self._node.style is None:
            value = number_of(self._node.value)
            if not math.isnan(value):
                if not good(value):
                    self.wrong(f"{value:g} must be a number {rule}")
                return value
        self.wrong(f"{self._shown()} is no finite number")

    def whole(self, least: float = -math.inf, most: float = math.inf) -> int:
        """Return a whole number."""
        number = self.number()
        if not number.is_integer():
            self.wrong(f"{number:g} is no whole number")
        if not least <= number <= most:
            self.wrong(f"{number:g} must be a whole number " + _range(least, most))
        return int(number)

    def numbers(self, good: Callable[[float], bool] = math.isfinite, rule: str = "") -> list[float]:
        """Return a list of numbers with at least one."""
        found = [item.number(good, rule) for item in self.items()]
        if not found:
            self.wrong(f"the list is empty; expected numbers {rule}".rstrip())
        return found

    def rising(self) -> tuple[float, ...]:
        """Return a list of numbers that rise."""
        numbers = tuple(item.number() for item in self.items())
        for a, b in itertools.pairwise(numbers):
            if a >= b:
                self.wrong(f"{b:g} follows {a:g}; the numbers must rise")
        return numbers

    def _shown(self) -> str:
        return repr(short(self._node.value)) if isinstance(self._node, yaml.ScalarNode) else "this"


def _range(least: float, most: float) -> str:
    return f"of at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"


def read_nodes(path: str | Path, wanted: str, text: str | None = None) -> Entry:
    """Return the top of a YAML file.

    Parameters
    ----------
    path : path
    wanted : str
        What the file should be, such as ``a spec is a mapping with controls and metrics``.
    text : str, optional
        What it holds, where that is no file; `path` is then its name in the errors, which name no lines.

    Raises
    ------
    InputError
        If the file cannot be read, is no YAML (with its line), or holds no mapping.
    """
    content = read_text(path, wanted) if text is None else text
    try:
        node = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PlaceError(path, f"is no YAML: {error.problem}", mark.line + 1 if mark else 1) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: is no YAML: {str(error).splitlines()[0]}") from None
    line = 0 if text is not None else 1
    if not isinstance(node, yaml.MappingNode):
        raise PlaceError(path, wanted, line)
    return Entry(path, "", node, line and node.start_mark.line + 1)
