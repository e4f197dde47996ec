"""The published evaluations step by step (`TNSM_2024_evalautions.zip`): what the policies did and the optimal rewards.

Values and their names are as published (so p11 and p21 are swapped as in the CNSM trace); nothing in the files is
evaluated as code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

import pandas as pd

from netrollout.traces.kth import open_member, read_member, require
from netrollout.types import InputError

_ROOT = "evalautions"  # as published
_STEPS = {
    "12": "sc1/simulation_seen_fig_12/seen.txt",
    "13": "sc1/simulation_unseen_fig_13/unseen.txt",
    "14": "sc1/emulation_seen_14/mo1_seen.csv",
    "15": "sc1/emulation_unseen_15/mo1_unseen.csv",
    "16": "sc2/emulation_unseen_fig_16/unseen.txt",
    "17": "sc3/emulation_unseen_fig_17/unseen.txt",
    "18": "sc4/emulation_seen_fig_18/seen.txt",
    "sc5_rl": "sc5/data_evaluation.csv",
    "sc5_hpa": "sc5/data_k8_sc1_80_no_routing.csv",
    "sc5_noop": "sc5/data_noop.csv",
}
_OPTIMA = {
    "12": "sc1/simulation_seen_fig_12/optimal_seen.txt",
    "13": "sc1/simulation_unseen_fig_13/optimal_unseen.txt",
    "14": "sc1/emulation_seen_14/optimal_seen.txt",
    "15": "sc1/emulation_unseen_15/optimal_unseen.txt",
    "16": "sc2/emulation_unseen_fig_16/optimal_unseen.txt",
    "17": "sc3/emulation_unseen_fig_17/optimal_unseen.txt",
    "18": "sc4/emulation_seen_fig_18/optimal_seen.txt",
}
KTH_FIGURES = tuple(_STEPS)

_STEP = re.compile(r"\[(?P<state>[^]]*)\],(?P<reward>[^,]+),(?:True|False),(?P<info>\{.*\}),\[?(?P<action>[\d ]+)\]?")
_OPTIMUM = re.compile(r"l1:(?P<l1>[^,]+),l2:(?P<l2>[^,]+),reward:(?P<reward>[^,]+),action:\((?P<action>[^)]+)\)")
_ACTION = ("p11", "p21", "b1", "b2")
_COLUMNS_18 = ["l1", "l2", "reward", "cpu1", "cpu2", "p1", "p2", "d1", "d2"]


def read_kth_steps(figure: str | int) -> pd.DataFrame:
    """Read what a published policy did, one row per step.

    Parameters
    ----------
    figure : of the TNSM paper, 12 to 18, or a run of its comparison with Kubernetes' autoscaler: `sc5_rl`, `sc5_hpa`
        (workers in column `replicas`), `sc5_noop`

    Returns
    -------
    DataFrame
        Figures 12, 13, 16, 17, 18: `state_0`.., `reward`, the entries of the published record (`d11`.., `p11`, `b1`..,
        `lc1`.. nominal or `cl1`.. measured carried load), `action_0`.. (indices of levels; one joint index in figure
        18). Others: the columns as published.

    Raises
    ------
    InputError
        unknown figure, not fetched, or a line that is not a step
    """
    member = f"{_ROOT}/{_chosen(figure, _STEPS)}"
    entry = require("kth_evaluations")
    if member.endswith(".csv"):
        return read_member(entry, member)
    return pd.DataFrame([_step(line, f"{member}: line {i}") for i, line in enumerate(open_member(entry, member), 1)])


def read_kth_optimum(figure: str | int) -> pd.DataFrame:
    """Read the published optimal reward per load of a figure, 12 to 18.

    Returns
    -------
    DataFrame
        `l1`, `l2` (req/s), `reward`, and the optimal action: `p11`, `p21`, `b1`, `b2` (shares); in figure 18 `cpu1`,
        `cpu2` (millicores), `p1`, `p2` (percent), `d1`, `d2` (s).
    """
    member = f"{_ROOT}/{_chosen(figure, _OPTIMA)}"
    stream = open_member(require("kth_evaluations"), member)
    if str(figure) == "18":
        return pd.read_csv(stream, names=_COLUMNS_18)
    return pd.DataFrame([_optimum(line, f"{member}: line {i}") for i, line in enumerate(stream, 1)])


def _chosen(figure: str | int, files: dict[str, str]) -> str:
    if str(figure) not in files:
        raise InputError(f"figure {figure!r} is not published; known are {', '.join(files)}")
    return files[str(figure)]


def _step(line: str, place: str) -> dict[str, float]:
    match = _STEP.fullmatch(line.strip())
    if match is None:
        raise InputError(f"{place}: not a step; it must be [state],reward,done,{{record}},[action]")
    record = ast.literal_eval(match["info"])
    return {
        **_counted("state", match["state"].split()),
        "reward": float(match["reward"]),
        **{key: float(value) for key, value in record.items()},  # figures 16 and 17 hold some numbers as text
        **_counted("action", match["action"].split()),
    }


def _optimum(line: str, place: str) -> dict[str, float]:
    match = _OPTIMUM.fullmatch(line.strip())
    if match is None:
        raise InputError(f"{place}: not an optimum; it must be l1:..,l2:..,reward:..,action:(..)")
    action = zip(_ACTION, match["action"].split(","), strict=True)
    return {key: float(match[key]) for key in ("l1", "l2", "reward")} | {name: float(value) for name, value in action}


def _counted(name: str, values: Iterable[str]) -> dict[str, float]:
    return {f"{name}_{i}": float(value) for i, value in enumerate(values)}
