"""The rule that fixes bounds and changes before any policy is run.

O is the median over configurations of the window means before the change, at the scenario's load, so that half of the
configurations are feasible; the change is the smallest step that leaves at most a fifth of them feasible.
"""

from __future__ import annotations

import pandas as pd

from netrollout.types import Floats


def configuration_means(rows: pd.DataFrame, service: str) -> Floats:
    """Return the mean response time (configurations,), s, of rows with the controls and ``d_<service>``."""
    controls = [c for c in rows.columns if c.startswith(("p_", "c_"))]
    means: Floats = rows.groupby(controls)[f"d_{service}"].mean().to_numpy()
    return means


def bound_by_rule(rows: pd.DataFrame, service: str) -> float:
    """Return the bound O, s, rounded to a tenth of a millisecond."""
    return round(float(pd.Series(configuration_means(rows, service)).median()), 4)


def feasible_share(rows: pd.DataFrame, service: str, bound: float) -> float:
    """Return the share of configurations whose mean response time is at most `bound`."""
    return float((configuration_means(rows, service) <= bound).mean())
