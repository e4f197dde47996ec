"""YAML with line numbers: values are taken from the composed nodes, nothing is ever constructed from a tag."""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

import yaml

from netrollout.types import InputError

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class SpecError(InputError):
    """A spec file is wrong; the message begins with file, line and key.

    Attributes
    ----------
    line : int
        From 1.
    key : str
        Dotted from the top, such as ``controls.p.levels``; empty for the file as a whole.
    """

    def __init__(self, path: Path, line: int, key: str, what: str) -> None:
        super().__init__(f"{path}: line {line}{f', key {key}' if key else ''}: {what}")
        self.line, self.key = line, key


class Entry:
    """A node of the file with its place.

    Parameters
    ----------
    path : Path
    key : str
        Dotted from the top.
    node : yaml.Node
    line : int
        Of the key.
    """

    def __init__(self, path: Path, key: str, node: yaml.Node, line: int) -> None:
        self.path, self.key, self.line, self._node = path, key, line, node

    def wrong(self, what: str) -> NoReturn:
        """Raise the error that names this place."""
        raise SpecError(self.path, self.line, self.key, what)

    @property
    def is_mapping(self) -> bool:
        """Whether it is `{...}`."""
        return isinstance(self._node, yaml.MappingNode)

    @property
    def is_null(self) -> bool:
        """Whether nothing is given."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.tag == "tag:yaml.org,2002:null"

    def entries(self, known: Collection[str] = (), required: Collection[str] = ()) -> dict[str, Entry]:
        """Return the parts of a mapping by key; with `known`, other keys are refused."""
        if not isinstance(self._node, yaml.MappingNode):
            self.wrong("expected a mapping with " + (str_list(known) or "name: value"))
        found: dict[str, Entry] = {}
        for key, value in self._node.value:
            line = key.start_mark.line + 1
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            part = Entry(self.path, f"{self.key}.{name}".strip("."), value, line)
            if not name:
                part.wrong("a key must be a name")
            if name in found:
                part.wrong(f"given twice; the first stands in line {found[name].line}")
            if known and name not in known:
                near = difflib.get_close_matches(name, known, 1)
                part.wrong(f"unknown; {f'did you mean {near[0]}?' if near else f'known are {str_list(known)}'}")
            found[name] = part
        for name in required:
            if name not in found:
                self.wrong(f"{name} is missing")
        return found

    def items(self) -> list[Entry]:
        """Return the parts of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            self.wrong("expected a list, [a, b, ...]")
        return [Entry(self.path, self.key, node, node.start_mark.line + 1) for node in self._node.value]

    def text(self) -> str:
        """Return a text, or a number as it is written."""
        if not isinstance(self._node, yaml.ScalarNode) or self.is_null:
            self.wrong("expected a text")
        return str(self._node.value)

    def number(self) -> float:
        """Return a finite number."""
        if isinstance(self._node, yaml.ScalarNode) and self._node.style is None:
            text = self._node.value
            if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
                return float(text)
        self.wrong(f"{self._shown()} is no finite number")

    def whole(self) -> int:
        """Return a whole number."""
        number = self.number()
        if not number.is_integer():
            self.wrong(f"{number:g} is no whole number")
        return int(number)

    def rising(self) -> tuple[float, ...]:
        """Return a list of numbers that rise."""
        numbers = tuple(item.number() for item in self.items())
        for a, b in itertools.pairwise(numbers):
            if a >= b:
                self.wrong(f"{b:g} follows {a:g}; the numbers must rise")
        return numbers

    def _shown(self) -> str:
        return repr(self._node.value) if isinstance(self._node, yaml.ScalarNode) else "this"


def str_list(names: Collection[str]) -> str:
    """Return names as `a, b, c`."""
    return ", ".join(names)


def read_nodes(path: Path) -> Entry:
    """Return the top of a YAML file.

    Raises
    ------
    InputError
        If the file cannot be read, is no YAML (with its line), or holds no mapping.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text in UTF-8; a spec is a YAML file") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SpecError(path, mark.line + 1 if mark else 1, "", f"is no YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: is no YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(node, yaml.MappingNode):
        raise SpecError(path, 1, "", "a spec is a mapping with controls, metrics, objective and more")
    return Entry(path, "", node, node.start_mark.line + 1)
