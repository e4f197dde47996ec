"""Statistics of a window, from records made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from netrollout.testbed.records import Done, Records, Sent, delay_statistics, service_statistics


def row_of(
    records: list[Done], start: float = 10.0, end: float = 12.0, bound: float | None = None
) -> dict[str, float | int | None]:
    """Return the row of `compute` for requests that were all answered."""
    log = Records()
    for r in records:
        log.add(["sent", r.service, r.t_sent])
        log.add(["done", *r])
    sent, done = log.between(start, end)
    return service_statistics("compute", sent, done, start, end, (1, 2), bound)


def test_offered_counts_what_was_sent_in_the_window_and_admitted_leaves_out_the_blocked() -> None:
    row = row_of(
        [
            Done("compute", 9.9, 10.1, 200, 1),  # sent before: completed here, but not offered here
            Done("compute", 10.0, 10.2, 200, 1),
            Done("compute", 10.5, 10.5, 429, 0),
            Done("compute", 11.9, 12.4, 200, 2),  # completed after: offered here, but not completed here
            Done("compute", 12.0, 12.1, 200, 2),  # the next window's
            Done("info", 11.0, 11.1, 200, 1),
        ]
    )
    assert row["l_compute"] == pytest.approx(3 / 2)
    assert row["cl_compute"] == pytest.approx(2 / 2)
    assert row["n_compute"] == row["n_compute_1"] == 2
    assert row["d_compute"] == pytest.approx(0.2)


def test_a_request_that_is_blocked_just_after_the_window_is_not_admitted() -> None:
    row = row_of([Done("compute", 11.999, 12.001, 429, 0)])
    assert (row["l_compute"], row["cl_compute"]) == (0.5, 0.0)


def test_only_completed_requests_have_response_times() -> None:
    row = row_of(
        [Done("compute", 5.5, 10.5, 504, 0), Done("compute", 10.1, 10.2, 503, 1), Done("compute", 11, 11, 0, 0)]
    )
    assert row["timeout_compute"] == 1
    assert row["n_compute"] == 0
    assert row["d_compute"] is row["d_compute_p99"] is row["d_compute_1"] is None


def test_late_is_what_ended_over_the_bound_timeouts_included() -> None:
    records = [Done("compute", 10.0, 10.1, 200, 1), Done("compute", 10.0, 10.3, 200, 2), Done("compute", 6, 11, 504, 0)]
    records += [Done("compute", 10.5, 10.6, 200, 1), Done("compute", 10.5, 10.5, 429, 0)]
    assert row_of(records, bound=0.2)["late_compute"] == pytest.approx(2 / 4)
    assert row_of(records)["late_compute"] is None
    assert row_of([Done("compute", 10.5, 10.5, 429, 0)], bound=0.2)["late_compute"] is None


def test_response_times_are_told_apart_by_node() -> None:
    row = row_of(
        [Done("compute", 10.0, 10.1, 200, 1), Done("compute", 10.0, 10.3, 200, 2), Done("compute", 10, 10.5, 200, 2)]
    )
    assert row["d_compute_1"] == pytest.approx(0.1)
    assert row["d_compute_2"] == pytest.approx(0.4)
    assert (row["n_compute_1"], row["n_compute_2"]) == (1, 2)


def test_delay_statistics_agree_with_numpy() -> None:
    delays = np.random.default_rng(0).exponential(0.05, 500).tolist()
    statistics = delay_statistics(delays)
    expected = [np.mean(delays), np.std(delays, ddof=1), np.quantile(delays, 0.9), np.quantile(delays, 0.99)]
    assert list(statistics.values()) == pytest.approx(expected)
    assert delay_statistics([0.1])["_std"] is None


def test_old_records_can_be_forgotten_and_requests_under_way_are_counted() -> None:
    log = Records()
    log.add(["sent", "compute", 1.0])
    log.add(["done", "compute", 1.0, 1.5, 200, 1])
    log.add(["sent", "compute", 2.0])
    assert log.under_way == 1
    log.forget_before(2.0)
    assert log.between(0, 10) == ([Sent("compute", 2.0)], [])
