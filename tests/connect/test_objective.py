"""Objectives are parsed, never evaluated: what they mean, and what is refused."""

import math

import numpy as np
import pytest

from netrollout.connect.objective import ObjectiveError, parse_objective

NAN = math.nan


def value(text, **columns):
    return parse_objective(text, list(columns) or ["d"])(columns).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 - c / 4", [0.75, 0.5]),
        ("-c ** 2", [-1.0, -4.0]),
        ("2 * (c + d) ** 0.5 - 1e-1", [2 * (1 + 0.04) ** 0.5 - 0.1, 2 * (2 + 0.3) ** 0.5 - 0.1]),
        ("1 - c/4 if d <= 0.05 else 0.05 - d", [0.75, -0.25]),
        ("(d > 0.05) * 10", [0.0, 10.0]),
        ("0 < d < 0.1", [1.0, 0.0]),
        ("d > 0.1 and c == 2 or c < 1", [0.0, 1.0]),
        ("1 if not d > 0.1 else 0", [1.0, 0.0]),
        ("3", 3.0),
        ("  c\n  + 1 ", [2.0, 3.0]),
    ],
)
def test_what_an_expression_means(text, expected):
    np.testing.assert_allclose(value(text, c=[1, 2], d=[0.04, 0.3]), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d + 1", NAN),
        ("d > 1", NAN),
        ("d != d", NAN),
        ("d > 1 and 1 > 2", 0.0),
        ("d > 1 and 1 < 2", NAN),
        ("d > 1 or 1 < 2", 1.0),
        ("d > 1 or 1 > 2", NAN),
        ("not d > 1", NAN),
        ("1 if d > 1 else 2", NAN),
        ("1 if 1 < 2 else d", 1.0),
    ],
)
def test_what_depends_on_a_missing_value_is_missing(text, expected):
    np.testing.assert_equal(value(text, d=[NAN]), [expected])


def test_dividing_by_zero_and_impossible_powers_warn_nobody():
    np.testing.assert_equal(value("1 / d", d=[0.0, -0.0]), [math.inf, -math.inf])
    np.testing.assert_equal(value("d ** 0.5", d=[-1.0]), [NAN])


def test_columns_broadcast_and_are_not_changed():
    c, d = np.arange(3.0)[:, None], np.arange(4.0)[None, :]
    assert parse_objective("c - d", ["c", "d"])({"c": c, "d": d}).shape == (3, 4)
    assert parse_objective("c - d", ["c", "d"]).names == {"c", "d"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("min(d, 1)", "a function call"),
        ("__import__('os').system('x')", "a function call"),
        ("(lambda: d)()", "a function call"),
        ("d.real", "an attribute"),
        ("d.__class__", "an attribute"),
        ("d[0]", "a subscript"),
        ("[d]", "a list"),
        ("(d, d)", "a tuple"),
        ("{d: 1}", "a dictionary"),
        ("lambda: d", "a function"),
        ("(x := d)", "an assignment"),
        ("[x for x in d]", "not known"),
        ("f'{d}'", "a text"),
        ("'d'", "no finite number"),
        ("True", "no finite number"),
        ("None", "no finite number"),
        ("...", "no finite number"),
        ("1j", "no finite number"),
        ("1e999", "no finite number"),
        ("1" * 400, "no finite number"),
        ("d // 2", "not known"),
        ("d % 2", "not known"),
        ("d @ d", "not known"),
        ("~d", "not known"),
        ("d in d", "not known"),
        ("d is d", "not known"),
        ("1 if d else 2", "used as a condition"),
        ("d and 1 > 0", "used as a condition"),
        ("not d", "used as a condition"),
        ("secret", "'secret' is no declared column"),
        ("e + 1", "did you mean d|declared are d"),
        ("d +", "is no expression"),
        ("d = 1", "is no expression"),
        ("d; d", "is no expression"),
        ("import os", "is no expression"),
        ("", "is empty"),
        ("   \n", "is empty"),
        ("d\0", "is no expression"),
        ("(" * 900 + "d" + ")" * 900, "is no expression"),
        ("-" * 900 + "d", "inside each other"),
        ("d" + "+d" * 900, "inside each other"),
        ("d" * 3000, "3000 characters"),
        ("yield d", "is no expression"),
        ("await d", "not known|no expression"),
        ("*d", "not known|no expression"),
        ("d if d > 0", "is no expression"),
    ],
)
def test_everything_else_is_refused(text, says):
    with pytest.raises(ObjectiveError, match=says) as error:
        parse_objective(text, ["d"])
    assert "\n" not in str(error.value)
