"""The published traces of the KTH testbed in our column names, their quirks removed.

Papers: Samani & Stadler, CNSM 2022 and TNSM 2024; Samani, Hammar & Stadler, NOMS 2024. Windows are 5 s long. What is
the same in all files after reading:

- rates in req/s, times in s, shares from 0 to 1; `visit` and `window` (from 1) are counted here, a visit being one
  contiguous stay in a configuration;
- a response time of 0 means that nothing completed on that path in the window: it is missing here, like its spread;
- `cl_s` is the carried load that was measured; in the one-service files it counts what *completed*, so that a window
  whose requests all hang has `cl_s` = 0, `drop_s` = 0 and no `d_s`; offered and not dropped is `l_s - drop_s`;
- `cl_nominal_s` is what the published simulators credit instead of it;
- the three meanings of the published b have three names: `b_s` (CNSM: share blocked), `limit_s` (TNSM: admitted rate,
  req/s), `b_ineffective_s` (NOMS: varied, but nothing was ever blocked; `b_s` is 0 there).
"""

from __future__ import annotations

import io
import zipfile
from typing import IO

import numpy as np
import pandas as pd

from netrollout.places import near
from netrollout.traces.fetching import Fetchable, fetched, registry
from netrollout.types import InputError

WINDOW = 5.0  # s
KTH_TRACES = {  # trace -> registry name
    "noms2024_scenario2_before": "noms2024_scenario2_before",
    "noms2024_scenario2_after": "noms2024_scenario2_after",
    "noms2024_scenario3": "noms2024_scenario3",
    "cnsm2022": "kth_traces",
    "tnsm2024": "kth_traces",
}
_MEMBERS = {"cnsm2022": "data/data_CNSM_2022.csv", "tnsm2024": "data/data_TNSM_2024.csv"}


def kth_available(name: str | None = None) -> bool:
    """Tell whether a published trace is there, or all published files where none is named."""
    return fetched("kth" if name is None else KTH_TRACES[_known(name)])


def read_kth(name: str) -> pd.DataFrame:
    """Read a published trace.

    Parameters
    ----------
    name : `noms2024_scenario2_before`, `noms2024_scenario2_after`, `noms2024_scenario3` (one service, `compute`;
        30 windows per visit of load, weight and workers), `tnsm2024` (`compute`, 5 windows per visit) or `cnsm2022`
        (two information services, `info1` and `info2`; 34 or 35 windows per visit of weights and blocking, through
        which the loads vary)

    Returns
    -------
    DataFrame
        `visit`, `window`, `duration`, then per service: `target_l_s` (in CNSM, which does not publish it, the level
        5, 10, 15 or 20 nearest to the measured load), `l_s`, `cl_s`, `cl_nominal_s`, `drop_s` (req/s), the meaning of
        b as above, `p_s` weight to node 1, and response times by service and node. One-service files also have `c_1`
        (node 2 is fixed), `d_compute`, `d_compute_std`, in NOMS `d_compute_p90`, `d_compute_p99`, and the counts as
        published: `window_l_compute`, `window_cl_compute` (requests per window). CNSM has `d_max_s`, the larger of
        the two nodes' means, which the papers take for the service's response time; it has no mean over all requests.

    Raises
    ------
    InputError
        unknown name, or not fetched
    """
    entry = require(KTH_TRACES[_known(name)])
    if name == "cnsm2022":
        return _cnsm(read_member(entry, _MEMBERS[name]))
    if name == "tnsm2024":
        return _one_service(read_member(entry, _MEMBERS[name]), "tnsm2024")
    return _one_service(pd.read_csv(entry.path), "noms2024")


def require(registry_name: str) -> Fetchable:
    """Return a registry entry whose file is there."""
    if not fetched(registry_name):
        raise InputError(f"{registry_name} is not here; get it with `netrollout data fetch {registry_name}`")
    return registry()[registry_name]


def open_member(entry: Fetchable, member: str) -> IO[str]:
    """Open a text file inside a fetched zip."""
    with zipfile.ZipFile(entry.path) as archive:
        return io.StringIO(archive.read(member).decode("utf-8"))


def read_member(entry: Fetchable, member: str) -> pd.DataFrame:
    """Read a CSV file inside a fetched zip."""
    return pd.read_csv(open_member(entry, member))


def _known(name: str) -> str:
    if name not in KTH_TRACES:
        raise InputError(f"{name!r} is not a published trace; {near(name, KTH_TRACES)}")
    return name


def _one_service(raw: pd.DataFrame, paper: str) -> pd.DataFrame:
    """Return the compute service of the NOMS or the TNSM files."""
    noms = paper == "noms2024"
    out = pd.DataFrame({"duration": np.full(len(raw), WINDOW)})
    out["target_l_compute"] = raw["expected_l1" if noms else "max_l1"].astype(float)
    out["l_compute"] = raw["l1"] / WINDOW
    if noms:
        out["b_compute"], out["b_ineffective_compute"] = 0.0, raw["b1"]
        out["cl_nominal_compute"] = out["l_compute"] * (1 - raw["b1"])
    else:
        out["limit_compute"] = raw["b1"].round(6)  # 4.8 and 4.800000000000001 are one setting
        out["cl_nominal_compute"] = np.minimum(out["l_compute"], out["limit_compute"])
    out["cl_compute"], out["drop_compute"] = raw["cl1"] / WINDOW, raw["drop1"] / WINDOW
    out["window_l_compute"], out["window_cl_compute"] = raw["l1"], raw["cl1"]
    out["p_compute"] = raw["p11"].round(6) if noms else raw["p1"] / 100
    out["c_1"] = raw["c1"]
    names = {"d1": "", "d1_std": "_std", "d11": "_1", "d11_std": "_1_std", "d12": "_2"}
    names["d12_st" if noms else "d12_std"] = "_2_std"
    if noms:
        names |= {"d1_90": "_p90", "d1_99": "_p99"}
    for published, suffix in names.items():
        path = published.split("_")[0]  # d1, d11 or d12: 0 there means that nothing completed
        out[f"d_compute{suffix}"] = raw[published].where(raw[path] > 0)
    # Where b has no effect its six values belong to one stay of 30 windows.
    return _numbered(out, ["target_l_compute", "p_compute", "c_1", *([] if noms else ["limit_compute"])])


def _cnsm(raw: pd.DataFrame) -> pd.DataFrame:
    """Return both information services of the CNSM file.

    Its columns p11 and p21 are swapped: d11 is never positive where p21 = 0, but mostly where p11 = 0.
    """
    out = pd.DataFrame({"duration": np.full(len(raw), WINDOW)})
    for i, weight in ((1, "p21"), (2, "p11")):
        s = f"info{i}"
        load = raw[f"l{i}"]
        out[f"target_l_{s}"] = (load / 5).round().clip(1, 4) * 5
        out[f"l_{s}"], out[f"b_{s}"] = load, raw[f"b{i}"].round(6)
        out[f"cl_{s}"], out[f"cl_nominal_{s}"] = raw[f"cl{i}"], load * (1 - raw[f"b{i}"])
        out[f"drop_{s}"] = raw[f"drop{i}"]
        out[f"p_{s}"] = raw[weight] / 100
        for k in (1, 2):
            out[f"d_{s}_{k}"] = raw[f"d{i}{k}"].where(raw[f"d{i}{k}"] > 0)
        out[f"d_max_{s}"] = out[[f"d_{s}_1", f"d_{s}_2"]].max(axis=1)
    return _numbered(out, ["p_info1", "p_info2", "b_info1", "b_info2"])


def _numbered(frame: pd.DataFrame, configuration: list[str]) -> pd.DataFrame:
    """Put `visit` (from 0) and `window` (from 1) in front; a visit ends where the configuration changes."""
    setting = frame[configuration]
    visit = (setting != setting.shift()).any(axis=1).cumsum() - 1
    frame.insert(0, "visit", visit)
    frame.insert(1, "window", frame.groupby("visit").cumcount() + 1)
    return frame
