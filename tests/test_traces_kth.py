"""The published traces: every quirk of the files is gone after reading. Skipped where the files are not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from netrollout.traces import (
    KTH_FIGURES,
    configurations,
    kth_available,
    read_kth,
    read_kth_optimum,
    read_kth_steps,
    response_times,
)
from netrollout.traces.fetching import registry
from netrollout.types import InputError

NOMS = ["noms2024_scenario2_before", "noms2024_scenario2_after", "noms2024_scenario3"]


def raw(name: str) -> pd.DataFrame:
    return pd.read_csv(registry()[name].path)


def test_files_lie_under_their_registry_name_as_they_were_published(kth: None, kth_folder: Path) -> None:
    files = {str(file.relative_to(kth_folder)) for file in kth_folder.rglob("*") if file.is_file()}
    assert files == {
        "noms2024_scenario2_before/data_before_change.csv",
        "noms2024_scenario2_after/data_after_change.csv",
        "noms2024_scenario3/data.csv",
        "kth_traces/data - CNSM 2022 - TNSM 2024.zip",
        "kth_evaluations/TNSM_2024_evalautions.zip",
    }
    assert kth_available()
    assert kth_available("cnsm2022")


@pytest.mark.parametrize(
    ("name", "rows", "visits", "lengths"),
    [
        ("noms2024_scenario2_before", 4500, 150, {30}),
        ("noms2024_scenario2_after", 3079, 103, {30, 19}),
        ("noms2024_scenario3", 2671, 90, {30, 1}),
        ("tnsm2024", 2700, 540, {5}),
        ("cnsm2022", 45343, 1296, {34, 35}),
    ],
)
def test_rows_and_visits(kth: None, name: str, rows: int, visits: int, lengths: set[int]) -> None:
    frame = read_kth(name)
    sizes = frame.groupby("visit").size()
    assert (len(frame), len(sizes), set(sizes)) == (rows, visits, lengths)
    assert frame.groupby("visit")["window"].first().eq(1).all()


@pytest.mark.parametrize(("name", "zeros", "slow"), list(zip(NOMS, [49, 132, 0], [123, 299, 0], strict=True)))
def test_zero_delays_are_missing_and_overload_stays(kth: None, name: str, zeros: int, slow: int) -> None:
    d = read_kth(name)["d_compute"]
    assert (d.isna().sum(), (d > 1).sum(), (d == 0).sum()) == (zeros, slow, 0)


@pytest.mark.parametrize(("name", "zeros"), list(zip(NOMS[:2], [49, 132], strict=True)))
def test_windows_that_completed_nothing_become_timeouts(kth: None, name: str, zeros: int) -> None:
    frame = read_kth(name)
    assert (frame["cl_compute"] == 0).sum() == zeros  # nothing was dropped: all of it was admitted
    assert (response_times(frame, route_timeout=20.0)["d_compute"] == 20.0).sum() == zeros


@pytest.mark.parametrize("name", NOMS)
def test_a_path_without_completions_has_no_response_time_and_no_spread(kth: None, name: str) -> None:
    frame, published = read_kth(name), raw(name)
    for node, spread in ((1, "d11_std"), (2, "d12_st")):
        assert frame[f"d_compute_{node}"].isna().equals(published[f"d1{node}"] == 0)
        kept = frame[f"d_compute_{node}"].notna()
        assert frame[f"d_compute_{node}_std"][kept].equals(published[spread][kept].astype(float))
        assert frame[f"d_compute_{node}_std"][~kept].isna().all()


@pytest.mark.parametrize("name", NOMS)
def test_noms_counts_per_window_become_rates(kth: None, name: str) -> None:
    frame, published = read_kth(name), raw(name)
    assert (frame["window_l_compute"] == published["l1"]).all()
    assert np.allclose(5 * frame["l_compute"], published["l1"])
    assert np.allclose(5 * frame["cl_compute"], published["cl1"])
    assert frame["target_l_compute"].isin([1, 2, 3, 4, 5]).all()
    assert (frame["l_compute"] / frame["target_l_compute"]).median() == 1


def test_noms_b_varied_without_effect(kth: None) -> None:
    frame = read_kth("noms2024_scenario2_before")
    assert (frame["b_compute"] == 0).all()
    assert frame["b_ineffective_compute"].nunique() == 6
    carried = (frame["cl_compute"] / frame["l_compute"]).groupby(frame["b_ineffective_compute"]).mean()
    assert carried.between(0.975, 0.99).all()
    assert frame.groupby("visit")["b_ineffective_compute"].nunique().eq(6).all()
    nominal = frame["l_compute"] * (1 - frame["b_ineffective_compute"])
    assert np.allclose(frame["cl_nominal_compute"], nominal)


def test_noms_after_lacks_the_top_load_and_starts_from_an_open_queue(kth: None) -> None:
    frame = read_kth("noms2024_scenario2_after")
    assert set(frame["target_l_compute"]) == {1, 2, 3, 4}
    assert frame.loc[frame["target_l_compute"] == 4, "window_l_compute"].median() == 35
    assert (frame["cl_compute"] < frame["l_compute"]).mean() == pytest.approx(0.205, abs=5e-4)


def test_noms_scenario_3_is_contained_in_scenario_2(kth: None) -> None:
    columns = ["target_l_compute", "b_ineffective_compute", "p_compute", "c_1", "l_compute", "d_compute"]
    before, third = (
        set(map(tuple, read_kth(name)[columns].round(9).astype(float).to_numpy())) for name in (NOMS[0], NOMS[2])
    )
    assert third <= before


def test_noms_node_2_became_slower(kth: None) -> None:
    grid = ["target_l_compute", "p_compute", "c_1"]
    before, after = (read_kth(name).groupby(grid)["d_compute"].mean() for name in NOMS[:2])
    assert after[1, 0, 1] / before[1, 0, 1] > 1.5
    assert 0.85 < after[1, 1, 5] / before[1, 1, 5] < 1.04


def test_cnsm_weights_are_not_swapped_any_more(kth: None) -> None:
    frame = read_kth("cnsm2022")
    for s in ("info1", "info2"):
        assert frame.loc[frame[f"p_{s}"] == 0, f"d_{s}_1"].isna().all()
        assert frame.loc[frame[f"p_{s}"] == 1, f"d_{s}_2"].isna().all()
        assert sorted(frame[f"p_{s}"].unique()) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert (frame.loc[frame["p_info2"] == 0, "d_info1_1"] > 0).mean() == pytest.approx(0.81, abs=0.01)


def test_cnsm_nominal_and_measured_load_differ(kth: None) -> None:
    frame = read_kth("cnsm2022")
    for s in ("info1", "info2"):
        assert np.allclose(frame[f"cl_nominal_{s}"], frame[f"l_{s}"] * (1 - frame[f"b_{s}"]))
        assert (abs(frame[f"cl_{s}"] - frame[f"cl_nominal_{s}"]) > 1e-6).mean() > 0.8
        free = frame[(frame[f"b_{s}"] == 0) & (frame[f"target_l_{s}"] == 20)]
        assert free[f"cl_{s}"].median() == pytest.approx(6, abs=0.2)
        assert set(frame[f"target_l_{s}"]) == {5, 10, 15, 20}
        assert (frame[f"d_max_{s}"].dropna() <= 0.13).all()


def test_tnsm_b_is_a_limit_and_no_share(kth: None) -> None:
    frame = read_kth("tnsm2024")
    assert not any(name.startswith("b_") for name in frame)
    assert set(frame["target_l_compute"]) == {4, 8, 12}
    assert (frame["limit_compute"] <= frame["target_l_compute"]).all()
    assert frame.groupby("target_l_compute")["limit_compute"].nunique().eq(6).all()
    assert np.allclose(frame["cl_nominal_compute"], np.minimum(frame["l_compute"], frame["limit_compute"]))
    assert frame["p_compute"].between(0, 1).all()
    assert frame["d_compute"].isna().sum() == 189


def test_configurations_of_published_traces(kth: None) -> None:
    means = configurations(read_kth("noms2024_scenario2_before"), route_timeout=20.0)
    assert (len(means), set(means["windows"])) == (150, {30})
    assert means["d_compute"].notna().all()


@pytest.mark.parametrize(
    ("figure", "steps"),
    list(zip(KTH_FIGURES, [1001, 1001, 800, 959, 958, 954, 151, 748, 880, 859], strict=True)),
)
def test_published_steps(kth: None, figure: str, steps: int) -> None:
    frame = read_kth_steps(figure)
    assert len(frame) == steps
    assert frame.notna().all(axis=None)


def test_published_steps_of_figure_13_follow_the_published_objective(kth: None) -> None:
    frame = read_kth_steps(13)  # lc is the nominal carried load already

    def credited(load: pd.Series, d: pd.Series, bound: float, center: float) -> pd.Series:
        return load.where(d <= bound, load / (1 + np.exp(200 * (d - center))))

    first = credited(frame["lc1"], frame[["d11", "d12"]].max(axis=1).round(4), 0.035, 0.05)
    second = credited(frame["lc2"], frame[["d21", "d22"]].max(axis=1).round(3), 0.110, 0.113)
    assert np.allclose(first + second, frame["reward"])


@pytest.mark.parametrize("figure", range(12, 19))
def test_published_optima(kth: None, figure: int) -> None:
    frame = read_kth_optimum(figure)
    assert frame.notna().all(axis=None)
    assert list(frame.columns[:3]) == ["l1", "l2", "reward"]


def test_published_means_of_the_autoscaler_comparison(kth: None) -> None:
    assert read_kth_steps("sc5_rl")["rewards"].mean() == pytest.approx(4.198, abs=5e-4)
    for run, workers, mean in (("sc5_hpa", "replicas", 2.662), ("sc5_noop", "c1", -1.150)):
        frame = read_kth_steps(run)
        late = frame["d1"].round(3) + 0.4
        reward = (6 - frame[workers]).where(late <= 1, 1 - late)
        assert reward.mean() == pytest.approx(mean, abs=5e-4)


def test_names_that_are_unknown_or_not_fetched_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETROLLOUT_DATA", str(tmp_path))
    assert not kth_available()
    with pytest.raises(InputError, match="'cnsm22' is not a published trace; did you mean cnsm2022"):
        read_kth("cnsm22")
    with pytest.raises(InputError, match="kth_traces is not here; get it with `netrollout data fetch kth_traces`"):
        read_kth("cnsm2022")
    with pytest.raises(InputError, match="figure 99 is not published; known are 12"):
        read_kth_steps(99)
