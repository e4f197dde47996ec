"""Traces, one by one."""

import numpy as np
import pytest

from netrollout.learn.table import Traces, keep_of

FALL, STEP_SIZE = 0.5, 0.25


def after(kind, visits):
    """Weights of a table of four pairs after visits with a fall between them."""
    traces, flat = Traces(len(visits), keep_of(kind, STEP_SIZE), 1e-5), np.zeros(4)
    for number, pair in enumerate(visits):
        if number:
            traces.fall(FALL)
        traces.visit(pair)
    traces.credit(flat, 1.0)
    return flat.tolist()


@pytest.mark.parametrize(("kind", "again"), [("accumulating", 1.25), ("replacing", 1.0), ("dutch", 1.1875)])
def test_a_pair_visited_again_has_the_trace_of_its_kind(kind, again):
    assert after(kind, [1, 3, 1]) == [0.0, again, 0.0, FALL]


def test_pairs_visited_once_have_the_same_traces_of_every_kind():
    assert after("accumulating", [0, 1, 2]) == after("replacing", [0, 1, 2]) == [0.25, 0.5, 1.0, 0.0]


def test_a_trace_below_the_threshold_is_dropped_and_may_come_back():
    traces, flat = Traces(3, 1.0, 0.3), np.zeros(2)
    traces.visit(0)
    traces.fall(0.25)
    traces.credit(flat, 1.0)
    assert flat.tolist() == [0.0, 0.0]
    traces.visit(0)
    traces.credit(flat, 1.0)
    assert flat.tolist() == [1.0, 0.0]


def test_what_is_cut_gets_no_credit():
    traces, flat = Traces(3, 1.0, 0.0), np.zeros(2)
    traces.visit(0)
    traces.cut()
    traces.visit(1)
    traces.credit(flat, 2.0)
    assert flat.tolist() == [0.0, 2.0]
