"""From a fitted surrogate to a system: the response tabulated on the grid, and nothing else replaced.

The model of a mesh is the mesh with another response table: the surrogate is asked once, on the grid.
"""

from __future__ import annotations

import numpy as np

from netrollout.systems.mesh.dynamics import Mesh, ResponseTable
from netrollout.types import Floats, InputError, Ints, Surrogate


def tabulate(surrogate: Surrogate, mesh: Mesh, q: int = 25) -> ResponseTable:
    """Return q equally likely window means of a fitted surrogate at every grid point of a mesh."""
    return ResponseTable(surrogate.windows(mesh.grid_features(), q))


def certain(table: ResponseTable) -> ResponseTable:
    """Return the table with each grid point's mean as its only window: the r(E d) of the certainty ablation."""
    return ResponseTable(table.windows.mean(axis=1, keepdims=True))


def bootstrap_visits(groups: Ints, configuration: Ints | Floats, rng: np.random.Generator) -> Ints:
    """Resample whole visits with replacement within each configuration: the refit of a hierarchical bootstrap.

    A configuration with a single visit keeps it, so the spread between visits comes only from configurations that were
    visited more often.

    Parameters
    ----------
    groups : (n,) int64
        Visit of each window.
    configuration : (n,) or (n, F)
        Configuration of each window, a label or its feature row.
    rng : Generator
        Is consumed.

    Returns
    -------
    (m,) int64
        Row indices; a visit drawn twice brings its rows twice.

    Raises
    ------
    InputError
        If a visit lies in two configurations.
    """
    labels = np.unique(configuration, axis=0, return_inverse=True)[1].ravel()
    visits, first, which = np.unique(groups, return_index=True, return_inverse=True)
    home = labels[first]
    stray = np.flatnonzero(home[which] != labels)
    if len(stray):
        raise InputError(f"row {stray[0]}: visit {groups[stray[0]]} lies in more than one configuration")
    drawn = np.concatenate([rng.choice(members, size=len(members)) for c in np.unique(home)
                            for members in [np.flatnonzero(home == c)]])  # fmt: skip
    rows = [np.flatnonzero(which == visit) for visit in range(len(visits))]
    return np.concatenate([rows[visit] for visit in drawn]).astype(np.int64)
