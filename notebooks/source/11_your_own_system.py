# ---
# jupyter:
#   jupytext:
#     formats: ipynb,source//py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own system
#
# **After this chapter you can**
#
# - describe a system that this book does not know in a page of YAML;
# - turn a trace of it into the next action, and read the reasons for it;
# - tell whether the advice is worth more than a rule of thumb, on visits that the plan has not seen.
#
# **You need** the chapters {doc}`03_markov_decision_process` and {doc}`09_the_closed_loop`. The chapter runs in about half a minute.
#
# ## The question
#
# Every other chapter treats a scenario that was prepared for it. Here comes one that was not: a *search* service, measured once with the testbed, with controls
# that no other chapter uses (how much of the load to block, and how many workers stand at the second node). What would an engineer have to write down, and
# how far should she trust what comes out?

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
seed: int = 0  # of draws and resamples
refits: int = 20  # resamples of the visits that plans are judged with

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from netrollout import experiment, plots
from netrollout.connect.own import recommend
from netrollout.connect.recommendation import cells, pairs, ranked
from netrollout.evaluate import bootstrap
from netrollout.results import Results
from netrollout.studies.own_study import ROWS, by_windows, held_out
from netrollout.traces import shipped, trace_files
from netrollout.types import InputError

# %%
plots.use_style()
files = trace_files("mesh/search")
results = Results("11_your_own_system", profile, dict(seed=seed, refits=refits), data=files)
trace = files["mesh/search"]

# %% [markdown]
# ## What was measured
#
# A CSV with a line per window: where the controls stood, which load came, what was measured. A column `visit` numbers uninterrupted stays. The trace may have any other
# columns; the spec names those that matter.

# %%
frame = shipped("mesh/search").frame
shown = ["visit", "target_l_search", "b_search", "c_2", "cl_search", "d_search"]
results.table("trace", shown, frame[shown].head(6).round(4).to_numpy().tolist())
results.value("rows", len(frame), unit="windows")
results.value("visits", frame["visit"].nunique(), unit="visits")

# %% [markdown]
# ```{restable} 11_your_own_system/trace
# :caption: The first rows of the trace
# ```
#
# There are {res}`11_your_own_system/rows:.0f:bare` windows in {res}`11_your_own_system/visits:.0f:bare` visits.
#
# ## What we want
#
# The spec says which columns are controls, with their levels; which are loads; what is measured; what a cycle is worth; and which means may not exceed a bound. The
# objective is an expression over the columns. It is parsed, never run as code, so a spec from elsewhere can do no harm.

# %%
SPEC = """
name: search
controls:
  b_search: {levels: [0, 0.15, 0.3]}      # share of the requests that is blocked
  c_2: {levels: [1, 2, 3, 4]}             # workers of node 2
loads:
  target_l_search: {levels: [20, 35]}     # requests/s
metrics: [d_search, cl_search]            # s; requests/s admitted
objective: cl_search / 35 - 0.06 * c_2 - 2 * (d_search > 0.08)
bounds: {d_search: 0.08}
"""

# %%
spec = Path(tempfile.mkdtemp()) / "search.yml"
_ = spec.write_text(SPEC)

# %% [markdown]
# A request admitted earns, a worker costs, and a window whose mean response time is over 80 ms costs more than both. The reward of a setting is the expectation of this over
# the windows that the model foresees, not its value at the mean: at a threshold the two differ (chapter {doc}`07_how_good_must_the_model_be`).
#
# What is wrong in a spec is told in one line:

# %%
wrong = spec.with_name("wrong.yml")
for old, new in (("bounds:", "bonds:"), ("(d_search > 0.08)", "max(d_search, 0.08)")):
    wrong.write_text(SPEC.replace(old, new))
    try:
        recommend(wrong, trace)
    except InputError as error:
        print(str(error).replace(str(wrong.parent) + "/", "").split(str(trace))[0].rstrip())

# %% [markdown]
# ## The next action
#
# At the command line this is `netrollout adapt --spec search.yml --trace TRACE.csv --at b_search=0,c_2=1,target_l_search=35 --report report.md`. The system stands at the high load with one
# worker at node 2 and nothing blocked.

# %%
found = recommend(spec, trace, "b_search=0,c_2=1,target_l_search=35", seed)
for line in found.why():
    print(line)
head = ["action", "then", "Q-factor", "over holding", "reward", "measured", "response time, s",
        "admitted, req/s", "rows"]  # fmt: skip
results.table("actions", head, [cells(action) for action in ranked(found)])
results.value("gain", found.action.gain, found.action.gain - 2 * found.action.gain_error,
              found.action.gain + 2 * found.action.gain_error, unit="reward",
              how=f"two standard errors over {found.draws} draws of the model")  # fmt: skip

# %% [markdown]
# ```{restable} 11_your_own_system/actions
# :caption: The actions, best first
# ```
#
# The recommended action gains {res}`11_your_own_system/gain:.2f:interval:bare` over holding (discounted, to the end). Where a setting was measured, the model is its windows; a Gaussian process on logs answers where it was not, and less surely. The numbers behind ± are standard errors over draws of that model: they say
# what the trace cannot tell, not what will happen.
#
# ## Into a cluster
#
# Where the mesh is Istio's, the setting becomes a `VirtualService` (routing weights, and blocking as an aborted share) and a patch of the `Deployment` whose pods are the workers. The routing
# weight was not a control here; it stays at what it was.

# %%
from netrollout.connect.istio import Layout, to_yaml

layout = Layout("search", ("search",), {1: "node1", 2: "node2"}, scaled=(2,), host="search.example.org")
print(to_yaml(layout.objects({**found.action.setting, "p_search": 0.2})))

# %% [markdown]
# `netrollout export istio` prints the same for the systems of the catalogue; `kubectl apply --server-side -f` takes it.
#
# ## The loop around it
#
# So far the advice was given once. Whatever can be set and measured can be driven: a program that has `apply` (set the named controls) and `observe` (let a window pass, return its columns). Here the windows
# of the trace themselves play the running system, at the high load; a simulator of your own takes their place in the same lines.


# %%
from netrollout.connect.own import begin
from netrollout.connect.plant import OwnLoop, RealPlant


class Recorded:
    """Answers with a window that was measured where the controls stand."""

    at: dict[str, float] = {"b_search": 0.0, "c_2": 1.0}  # noqa: RUF012

    def apply(self, values: dict[str, float]) -> None:
        self.at = dict(values)

    def observe(self, seconds: float) -> dict[str, float]:
        stands = frame["target_l_search"].eq(35) & frame[list(self.at)].eq(list(self.at.values())).all(axis=1)
        return frame[stands].sample(1, random_state=loop.cycle).iloc[0][list(grid.spec.places)].to_dict()


# %%
system = Recorded()
grid, *begun, _ = begin(spec, trace, "b_search=0,c_2=1,target_l_search=35")
loop = OwnLoop(grid, *begun, RealPlant(grid.spec, system, system, seconds=30.0), seed)
lived = [loop.step() for _ in range(6)]
lines = [[c.cycle, pairs(c.setting), f"{c.window['d_search']:.4f}", f"{c.reward:.3f}", pairs(c.next)] for c in lived]
results.table("loop", ["cycle", "stands at", "response time, s", "reward", "then"], lines)

# %% [markdown]
# ```{restable} 11_your_own_system/loop
# :caption: Six cycles of the loop
# ```
#
# The loop measures before it moves, moves every control by one increment at most, learns each window, and holds where a metric or a load is missing or the model cannot tell an action from holding. The same from the command line, with a log that
# a killed program goes on with:
#
# ```
# netrollout adapt --spec search.yml --trace TRACE.csv --plant command --every 30s --log loop.jsonl --dry-run
# ```
#
# `--dry-run` advises and sets nothing; `--resume` goes on with the log. How the system is reached stands in the spec, under the key `connect`:
#
# ```
# connect:
#   command: [python, my_system.py]       # told {"set": {"c_2": 2}} or {"window": 30.0} on its input; prints a window as JSON
#   prometheus:                           # --plant prometheus: measures and advises, sets nothing
#     url: http://127.0.0.1:9090
#     queries: {d_search: "...", cl_search: "...", target_l_search: "..."}
#   kubernetes: {name: search, services: [search], nodes: {2: node2}, scaled: [2]}   # --plant kubernetes: sets, and measures by prometheus
# ```
#
# With `--json` a single recommendation is a record for programs: `decided` is false where the trace cannot tell an action from holding (the action is then to hold, and `doubt` says why), `chosen` is the position of the action in
# `actions`, and `places` has what is predicted and measured here, where the plan walks to, at the best measured setting, and at the one to measure next.
#
# ## Is it worth it?
#
# Each setting was visited three times. We plan on two visits and judge by the raw windows of the third, in turn, and we begin in every state alike. `hold` never moves; the reactive rule adds a worker after a window over the
# bound and takes one away after a window under half of it; `best-measured` walks to the setting whose mean over the known visits is the best at the load, and needs no model; `walk` goes to the best setting of the model; `rollout` is one step on the better of the two; `exact` is the
# model's optimum; the oracle has planned on the held-out windows themselves.

# %%
worth = experiment.run(held_out(spec, trace, "c_2", refits, seed), ROWS, by_windows, jobs=-1)
how = f"hierarchical bootstrap over {len(worth.axes[0])} held-out visits x {refits} resamples of the others"
lines, ahead = [], {}
for name in ROWS:
    e = worth.estimate("reward", name, interval=bootstrap)
    results.value(f"worth.{name}", e.value, e.low, e.high, unit="reward per cycle", how=how)
    gap = worth.estimate("reward", "exact", minus=name, interval=bootstrap)
    results.value(f"exact-minus.{name}", gap.value, gap.low, gap.high, unit="reward per cycle", how=how)
    lines.append([name, *(f"{x.value:.3f} ({x.low:.3f} to {x.high:.3f})" for x in (e, gap))])
    ahead[name] = e
results.table("worth", ["policy", "reward per cycle", "exact planning is ahead by"], lines)

# %% mystnb={"image": {"alt": "Horizontal bars with intervals: reward per cycle of eight policies on held-out visits of the search service, from holding to the oracle."}}
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
plots.interval_bars(axes, list(ahead), *zip(*((e.value, e.low, e.high) for e in ahead.values()), strict=True))
axes.set_xlabel("reward per cycle on held-out visits")
plots.provenance_line(figure, results.record)

# %%
_ = results.write()

# %% [markdown]
# ```{restable} 11_your_own_system/worth
# :caption: What policies earn on visits that they have not seen
# ```
#
# Exact planning is {res}`11_your_own_system/exact-minus.reactive:.3f:interval:bare` ahead of the reactive rule, {res}`11_your_own_system/exact-minus.best-measured:.3f:interval:bare` ahead of the walk to the best measured setting, {res}`11_your_own_system/exact-minus.walk:.3f:interval:bare` ahead of the walk to the best setting of the model, and
# {res}`11_your_own_system/exact-minus.rollout:.3f:interval:bare` ahead of one-step rollout, per cycle. Where such an interval holds zero, the trace does not tell the two apart, and the simpler one will do. What is left to the oracle is
# {res}`11_your_own_system/exact-minus.oracle:.3f:interval:bare`: that is the price of having measured each setting twice only, and part of it is the luck of the third visit, on which the oracle has planned.
#
# ## What we assumed
#
# - The load stays while the controls move, because within a visit it never moved; a trace of operation would have told how it does.
# - Backlog does not carry over from cycle to cycle. Where it does, give a longer window or write a system of your own (see the API).
# - The weights of the objective were chosen for the page before anything was planned; yours will differ.
#
# ## Exercises
#
# ````{exercise}
# :label: ex-11-1
# Halve the price of a worker in `SPEC`. Does the recommended action change, and by how many standard errors?
# ````
#
# ````{solution-start} ex-11-1
# :class: dropdown
# It does not change: at the high load a second worker was worth its price before, and is more so now. What changes is how sure the advice is.
# ````

# %% tags=["solution"]
cheap = spec.with_name("cheap.yml")
_ = cheap.write_text(SPEC.replace("0.06 * c_2", "0.03 * c_2"))
halved = recommend(cheap, trace, "b_search=0,c_2=1,target_l_search=35", seed)
for advice in (found, halved):
    action = advice.action
    print(pairs(action.setting), f"{action.gain / action.gain_error:.1f} standard errors")
assert halved.action.setting == found.action.setting

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-11-2
# Take your own log. Which columns would be controls, which loads, and what is a visit?
# ````
#
# ````{solution} ex-11-2
# :class: dropdown
# A control is what you may set, a load what you may not; a visit is a stretch in which no control moved. Without a column `visit`, successive rows with the same setting count as one. The controls must have been moved:
# a log in which they never were tells nothing of what would happen elsewhere.
# ````
#
# ````{exercise}
# :label: ex-11-3
# **Warm-up.** The spec pays `cl_search / 35` for what is admitted. What is a window worth in which 28 requests/s were admitted by two workers within
# the bound? And if the mean response time was 90 ms?
# ````
#
# ````{solution} ex-11-3
# :class: dropdown
# $28/35 - 0.06 \cdot 2 = 0.68$ within the bound, $0.68 - 2 = -1.32$ beyond it.
# ````
#
# ````{exercise}
# :label: ex-11-4
# **Break it.** Name a column in `bounds` that is no metric, and a level twice. Does the message name the place?
# ````
#
# ````{solution-start} ex-11-4
# :class: dropdown
# Each message names file, line and key.
# ````

# %% tags=["solution"]
for old, new in (("d_search: 0.08", "d_serch: 0.08"), ("[1, 2, 3, 4]", "[1, 2, 2, 4]")):
    wrong.write_text(SPEC.replace(old, new))
    try:
        recommend(wrong, trace)
        raise AssertionError("it was taken")
    except InputError as error:
        print(str(error).split("wrong.yml")[-1])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-11-5
# **Program.** Write the rule of one line yourself: the best setting of the trace at the high load, by the mean of the objective over its windows.
# Is it where the plan goes?
# ````
#
# ````{solution-start} ex-11-5
# :class: dropdown
# A constant needs no model. It is the first thing to try.
# ````

# %% tags=["solution"]
high = frame[frame["target_l_search"] == 35]
late = (high["d_search"] > 0.08).astype(float)
pay = high["cl_search"] / 35 - 0.06 * high["c_2"] - 2 * late
means = pay.groupby([high["b_search"], high["c_2"]]).mean()
print(means.sort_values().tail(3))
assert means.max() > 0

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-11-6
# **Predict, then run.** Take one of the three visits of every setting out of the trace. Will the advice change, and will it be less sure?
# ````
#
# ````{solution} ex-11-6
# :class: dropdown
# With two visits the standard errors grow, and where the gain was a few of them, the advice may become *hold*. `recommend` says so under `doubt`.
# ````
#
# ## Recap
#
# - A page of YAML and a trace are enough for a first recommendation, with its reasons and its doubts.
# - Where the trace cannot tell an action from holding, the advice is to hold and what to measure next; a loop around the system then learns it.
# - Judge it on visits that it has not seen, beside a rule of one line and the best setting held.
#
# ## Further reading
#
# {doc}`01_testbed_and_traces` for how traces are collected; Bertsekas {cite}`bertsekas2021rollout` for rollout with several base policies.
