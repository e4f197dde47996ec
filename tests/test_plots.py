"""Figures say where they come from, and draw what they are given."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from netrollout.plots import band, grid_map, interval_bars, provenance_line, use_style


@pytest.fixture
def axes():
    with plt.style.context("default"):
        use_style()
        figure, axes = plt.subplots()
        yield axes
        plt.close(figure)


def test_the_background_is_opaque_white(axes):
    assert axes.get_figure().get_facecolor() == (1, 1, 1, 1)


def test_the_provenance_line_names_notebook_profile_seed_commit_and_data(axes):
    record = {
        "notebook": "01_x",
        "profile": "quick",
        "parameters": {"seed": 3},
        "provenance": {"commit": "0123456789abcdef", "data": {"mesh/s2": "fedcba9876543210"}},
    }
    provenance_line(axes.get_figure(), record)
    assert axes.get_figure().get_supxlabel() == "01_x  ·  quick  ·  seed 3  ·  commit 01234567  ·  mesh/s2 fedcba98"


def test_interval_bars_end_at_low_and_high(axes):
    interval_bars(axes, ["a", "b"], [1, 2], [0.5, 1.5], [2, 3])
    ends = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
    assert ends == [[0.5, 2.0], [1.5, 3.0]]


def test_a_grid_map_writes_its_numbers(axes):
    grid_map(axes, [[1.0, 2.0]], columns=[0.2, 0.4], rows=[1], label="d (s)", digits=1)
    assert [text.get_text() for text in axes.texts] == ["1.0", "2.0"]


def test_a_band_has_its_line_s_colour(axes):
    x = np.arange(3)
    band(axes, x, x, x - 1, x + 1, label="rollout")
    assert axes.collections[0].get_facecolor()[0, :3].tolist() == list(
        matplotlib.colors.to_rgb(axes.lines[0].get_color())
    )
