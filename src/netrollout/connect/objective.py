"""The objective expression of a spec: parsed, never evaluated as code.

An expression is made of numbers, declared column names, ``+ - * / **``, comparisons, ``and``, ``or``, ``not`` and
``a if condition else b``.  Anything else (calls, attributes, subscripts, strings, ...) is refused when it is read.  It
becomes a function of arrays, column by column.

A condition is 1 where it holds and 0 where it does not, and may be used as a number.  NaN stands for a value that is
missing, and what depends on it is NaN: arithmetic and comparisons with NaN are NaN; ``and`` is 0 where one side is 0,
``or`` is 1 where one side is 1, whatever the other is; a conditional is NaN where its condition is, and takes nothing
from the branch that is not chosen.  Division by zero and powers without a real value give infinities and NaN, as in
IEEE 754.
"""

from __future__ import annotations

import ast
import contextlib
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from netrollout.places import near, short
from netrollout.types import Floats, InputError

LONGEST = 2000  # characters
DEEPEST = 200  # operations inside each other

Columns = Mapping[str, ArrayLike]
Term = Callable[[Columns], Any]
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Pow: np.float_power,
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less, ast.LtE: np.less_equal, ast.Gt: np.greater, ast.GtE: np.greater_equal, ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}  # fmt: skip
_ALLOWED = "allowed are numbers, columns, + - * / **, comparisons, and, or, not, `a if condition else b`"
_NAMED: dict[type[ast.AST], str] = {
    ast.Call: "a function call", ast.Attribute: "an attribute", ast.Subscript: "a subscript", ast.Lambda: "a function",
    ast.NamedExpr: "an assignment", ast.JoinedStr: "a text", ast.List: "a list", ast.Tuple: "a tuple",
    ast.Dict: "a dictionary", ast.Set: "a set",
}  # fmt: skip


class ObjectiveError(InputError):
    """The text is no objective; the message says which part of it, and what is allowed."""


@dataclass(frozen=True, eq=False)
class Objective:
    """A parsed objective; call it with columns.

    Attributes
    ----------
    text : str
    names : frozenset of str
        Columns that it uses.

    Examples
    --------
    >>> reward = parse_objective("1 - c / 4 if d <= 0.05 else 0.05 - d", ["c", "d"])
    >>> reward({"c": [1, 2, 4], "d": [0.04, 0.25, float("nan")]}).tolist()
    [0.75, -0.2, nan]
    """

    text: str
    names: frozenset[str]
    _term: Term

    def __call__(self, columns: Columns) -> Floats:
        """Return the objective for arrays that broadcast against each other, column -> array."""
        arrays = {name: np.asarray(columns[name], dtype=np.float64) for name in self.names}
        with np.errstate(all="ignore"):
            value = self._term(arrays)
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values())) if arrays else ()
        result: Floats = np.broadcast_to(np.asarray(value, dtype=np.float64), shape).copy()
        return result


def parse_objective(text: str, columns: Collection[str]) -> Objective:
    """Parse an expression over the declared columns.

    Raises
    ------
    ObjectiveError
        If the text is no expression, or has a part that is not allowed or a name that is not declared.
    """
    line = " ".join(text.split())
    if not line:
        raise ObjectiveError(f"the expression is empty; {_ALLOWED}")
    if len(line) > LONGEST:
        raise ObjectiveError(f"the expression has {len(line)} characters; at most {LONGEST} are read")
    try:
        tree = ast.parse(line, mode="eval").body
    except SyntaxError as error:
        raise ObjectiveError(f"{short(line)!r} is no expression: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ObjectiveError(f"{short(line)!r} is no expression that can be read; {_ALLOWED}") from None
    names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    return Objective(line, names, _Parser(line, columns).term(tree, 0))


class _Parser:
    """Turns the nodes of one expression into functions of columns."""

    def __init__(self, text: str, columns: Collection[str]) -> None:
        self._text, self._columns = text, columns

    def term(self, node: ast.expr, depth: int) -> Term:
        """Return the function of a node; conditions are 1, 0 or NaN."""
        if depth > DEEPEST:
            raise ObjectiveError(f"more than {DEEPEST} operations stand inside each other; write it shorter")
        deeper = depth + 1
        if isinstance(node, ast.Constant):
            return self._number(node)
        if isinstance(node, ast.Name):
            return self._column(node)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            left, right = self.term(node.left, deeper), self.term(node.right, deeper)
            apply = _ARITHMETIC[type(node.op)]
            return lambda columns: apply(left(columns), right(columns))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner, sign = self.term(node.operand, deeper), -1.0 if isinstance(node.op, ast.USub) else 1.0
            return lambda columns: sign * inner(columns)
        if isinstance(node, ast.IfExp):
            test = self._condition(node.test, deeper)
            yes, no = self.term(node.body, deeper), self.term(node.orelse, deeper)
            return lambda columns: _chosen(test(columns), yes(columns), no(columns))
        return self._logic(node, depth)

    def _logic(self, node: ast.expr, depth: int) -> Term:
        deeper = depth + 1
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self._condition(node.operand, deeper)
            return lambda columns: 1.0 - inner(columns)
        if isinstance(node, ast.Compare) and all(type(op) in _COMPARISONS for op in node.ops):
            sides = [self.term(side, deeper) for side in (node.left, *node.comparators)]
            tests = [_COMPARISONS[type(op)] for op in node.ops]
            return lambda columns: _compared(tests, [side(columns) for side in sides])
        if isinstance(node, ast.BoolOp):
            parts = [self._condition(part, deeper) for part in node.values]
            join = _both if isinstance(node.op, ast.And) else _either
            return lambda columns: _joined(join, [part(columns) for part in parts])
        what = _NAMED.get(type(node), "an operation that is not known here")
        raise ObjectiveError(f"{self._part(node)!r} is {what}; {_ALLOWED}")

    def _condition(self, node: ast.expr, depth: int) -> Term:
        negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        if isinstance(node, ast.Constant | ast.Name | ast.BinOp | ast.UnaryOp | ast.IfExp) and not negated:
            raise ObjectiveError(f"{self._part(node)!r} is used as a condition; compare it, as in `x > 0`")
        return self.term(node, depth)

    def _number(self, node: ast.Constant) -> Term:
        value = math.nan
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            with contextlib.suppress(OverflowError):
                value = float(node.value)
        if not math.isfinite(value):
            raise ObjectiveError(f"{self._part(node)!r} is no finite number; {_ALLOWED}")
        return lambda columns: value

    def _column(self, node: ast.Name) -> Term:
        name = node.id
        if name not in self._columns:
            raise ObjectiveError(f"{name!r} is no declared column; {near(name, self._columns, 'declared are')}")
        return lambda columns: columns[name]

    def _part(self, node: ast.expr) -> str:
        return short(ast.get_source_segment(self._text, node) or self._text)


def _compared(tests: list[Callable[[Any, Any], Any]], sides: list[Any]) -> Any:
    """Return 1, 0 or NaN for a chain of comparisons."""
    parts = []
    for test, left, right in zip(tests, sides[:-1], sides[1:], strict=True):
        missing = np.isnan(left) | np.isnan(right)
        parts.append(np.where(missing, np.nan, np.asarray(test(left, right), dtype=np.float64)))
    return _joined(_both, parts)


def _joined(join: Callable[[Any, Any], Any], parts: list[Any]) -> Any:
    result = parts[0]
    for part in parts[1:]:
        result = join(result, part)
    return result


def _both(a: Any, b: Any) -> Any:
    return np.where((a == 0.0) | (b == 0.0), 0.0, np.multiply(a, b))


def _either(a: Any, b: Any) -> Any:
    return np.where((a == 1.0) | (b == 1.0), 1.0, np.maximum(a, b))


def _chosen(test: Any, yes: Any, no: Any) -> Any:
    return np.where(np.isnan(test), np.nan, np.where(test == 1.0, yes, no))
