"""The published two-service trace as a contextual bandit: its windows, the loads, the learned outcomes.

Every configuration of the trace is one visit of 34 or 35 windows, through which the loads vary. Whole configurations
are held out, never single windows.

Letters: n windows, L loads, A = 1296 actions, P = 16 pairs of the loads 5, 10, 15 and 20 req/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from netrollout.models.outcomes import OutcomeForest
from netrollout.seeding import SEEDS, spawn
from netrollout.studies.objectives import ACTIONS, Objective, action_index, nominal, outcomes, share
from netrollout.traces import read_kth
from netrollout.types import Bools, Floats, Ints

Credit = Literal["nominal", "measured"]
CREDITS: tuple[Credit, Credit] = ("nominal", "measured")
SEEN: Floats = np.array([[first, second] for first in (5.0, 10, 15, 20) for second in (5.0, 10, 15, 20)])  # (P, 2)
MOVED = 1.5  # req/s between a window's load and its level
ADMITTED = 15.0  # req/s per service that the one-line rule admits at most


@dataclass(frozen=True)
class Windows:
    """The windows of the published trace, as the study needs them.

    Attributes
    ----------
    loads : (n, 2) offered load, req/s
    carried : (n, 2) measured carried load, req/s
    d : (n, 2) larger of the two nodes' mean response times, s
    action : (n,) position in `ACTIONS`; one visit per action
    pair : (n,) position of the offered level in `SEEN`
    """

    loads: Floats
    carried: Floats
    d: Floats
    action: Ints
    pair: Ints

    def credited(self, credit: Credit) -> Floats:
        """Return the outcomes (n, 3) of every window."""
        carried = self.carried if credit == "measured" else nominal(self.loads, ACTIONS[self.action])
        return outcomes(share(self.d), carried)


@dataclass(frozen=True)
class Pattern:
    """Loads at which policies are compared.

    Attributes
    ----------
    loads : (L, 2) req/s
    published : (L,) position in `ACTIONS` of what the published policy did
    """

    loads: Floats
    published: Ints


def windows_of(frame: pd.DataFrame, settled: bool = True) -> Windows:
    """Take the study's arrays from `read_kth("cnsm2022")`.

    Parameters
    ----------
    settled : leave out the first window of each visit, which carries half as much again as its load explains, and the
        windows during which the load moved to another level
    """
    if settled:
        moved = [(frame[f"l_{s}"] - frame[f"target_l_{s}"]).abs() > MOVED for s in ("info1", "info2")]
        frame = frame[(frame["window"] > 1) & ~moved[0] & ~moved[1]]
    columns = {
        name: frame[[f"{name}_info1", f"{name}_info2"]].to_numpy()
        for name in ("l", "cl", "d_max", "p", "b", "target_l")
    }
    pair = np.rint(columns["target_l"] / 5 - 1) @ [4, 1]
    action = action_index(np.hstack([columns["p"], columns["b"]]))
    return Windows(columns["l"], columns["cl"], columns["d_max"], action, pair.astype(np.int64))


def published_windows(settled: bool = True) -> Windows:
    """Read the published CNSM trace; needs the fetched files."""
    return windows_of(read_kth("cnsm2022"), settled)


def one_line_rule(loads: Floats) -> Ints:
    """Return the action (L,) of a rule that needs no model: route evenly, admit at most `ADMITTED` req/s per service.

    Service 1 sends .4 and service 2 sends .6 to node 1, the levels nearest to even; each blocks the smallest rate that
    keeps its load within the limit.
    """
    blocked = np.ceil(np.maximum(1.0 - ADMITTED / loads, 0.0) * 5 - 1e-9) / 5
    routed = np.broadcast_to([0.4, 0.6], loads.shape)
    return action_index(np.hstack([routed, blocked]))


def learn(windows: Windows, kept: Bools, trees: int, min_leaf: int, seed: int) -> OutcomeForest:
    """Fit a forest on the kept windows (n,); its outcomes are both shares, then the three of the measured credit."""
    features = np.hstack([ACTIONS[windows.action], windows.loads])[kept]
    response = np.hstack([np.log(windows.d), windows.carried])[kept]
    outcome = np.hstack([share(windows.d), windows.credited("measured")])[kept]
    return OutcomeForest(trees, min_leaf, seed).fit(features, response, outcome)


def expected(forest: OutcomeForest, loads: Floats) -> dict[Credit, Floats]:
    """Return the expected outcomes (L, A, 3) of every action at every load, by credit."""
    size = (len(loads), len(ACTIONS))
    queries = np.concatenate(
        [np.broadcast_to(ACTIONS, (*size, 4)), np.broadcast_to(loads[:, None], (*size, 2))], axis=-1
    )
    learned = forest.expect(queries.reshape(-1, 6)).reshape(*size, 5)
    return {"nominal": outcomes(learned[..., :2], nominal(loads[:, None], ACTIONS)), "measured": learned[..., 2:]}


def held_out_error(windows: Windows, trees: int, min_leaf: int, seed: int = 0) -> Floats:
    """Return the squared error of the five outcomes over their variance (5,), on configurations that were held out.

    Two of the quarters of a split predict each other, so that the other half is not looked at.
    """
    quarter = quarters(seed, 0)[windows.action]
    sides = []
    for a, b in ((0, 1), (1, 0)):
        held = quarter == b
        forest = learn(windows, quarter == a, trees, min_leaf, int(spawn(seed, "error", a).integers(SEEDS)))
        found = forest.expect(np.hstack([ACTIONS[windows.action], windows.loads])[held])
        truth = np.hstack([share(windows.d), windows.credited("measured")])[held]
        sides.append(((found - truth) ** 2).mean(axis=0) / truth.var(axis=0))
    error: Floats = np.mean(sides, axis=0)
    return error


def quarters(seed: int, k: int) -> Ints:
    """Draw the quarter (A,) of each configuration in split k; a half is two quarters."""
    return spawn(seed, "quarters", k).permutation(len(ACTIONS)) % 4


def credited_means(windows: Windows, objective: Objective, credit: Credit) -> Floats:
    """Return the mean reward (P, A) of the windows of each pair of loads and action."""
    cell = windows.pair * len(ACTIONS) + windows.action
    cells = len(SEEN) * len(ACTIONS)
    total = np.bincount(cell, objective.reward(windows.credited(credit)), minlength=cells)
    means: Floats = (total / np.bincount(cell, minlength=cells)).reshape(len(SEEN), len(ACTIONS))
    return means
