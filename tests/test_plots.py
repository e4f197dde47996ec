"""Figures say where they come from, and draw what they are given."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from netrollout.plots import (
    band,
    bin_names,
    count_map,
    episode_panels,
    grid_map,
    interval_bars,
    provenance_line,
    trade_off,
    use_style,
)


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
    record["provenance"]["data"] = {name: "0" * 16 for name in "abcde"}
    provenance_line(axes.get_figure(), record)
    assert axes.get_figure().get_supxlabel().endswith("c 00000000  ·  2 more files"), (
        "a long line would shrink the figure"
    )


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


def test_an_episode_has_a_line_per_panel_and_what_was_recorded_is_points(axes):
    panels = [axes, axes.twinx()]
    episode_panels(panels, [8, 16], [[1, 2], [3, 4]], "rule")
    episode_panels(panels, [8, 16], [[1, 2], [3, 5]], "recorded", marker=True)
    assert panels[1].lines[0].get_ydata() == pytest.approx([3, 4])
    assert [line.get_linestyle() for line in axes.lines] == ["-", "None"]


def test_a_trade_off_shows_the_frontier_and_each_policy_with_both_intervals(axes):
    trade_off(axes, ([12, 14], [0.8, 0.9]), {"sqrt": ((13, 12.5, 14), (0.95, 0.94, 0.96))})
    assert axes.lines[0].get_xdata() == pytest.approx([12, 14])
    across, up = (bars.get_segments()[0] for bars in axes.containers[0].lines[2])
    assert across[:, 0] == pytest.approx([12.5, 14]) and up[:, 1] == pytest.approx([0.94, 0.96])
    assert axes.containers[0].get_label() == "sqrt"


def test_a_map_of_counts_leaves_out_what_was_never_counted(axes):
    count_map(axes, [[0, 5], [1000, 1]], ["a", "b"], ["c", "d"], "visits")
    assert axes.images[0].get_array().mask.tolist() == [[True, False], [False, False]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["c", "d"]


def test_bins_are_named_by_their_edges():
    assert bin_names([0.5, 2.5]) == ["below 0.5", "0.5 to 2.5", "from 2.5"] and bin_names([]) == ["all"]
