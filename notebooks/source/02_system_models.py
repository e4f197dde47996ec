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
# # System models: from a trace to something one can plan on
#
# **After this chapter you can**
#
# - fit a model that answers a configuration with a *distribution* of response times, not with one number;
# - measure its error so that nothing leaks, and say which question each way of holding out answers;
# - check whether its quantiles mean what they say;
# - explain, with a map, why the expected reward is not the reward of the expectation.
#
# **You need** the chapter {doc}`01_testbed_and_traces`, and to have met regression and random forests. The quick
# profile runs in under a minute, the full one in a few.
#
# ## The question
#
# You have measured thirty configurations for half a minute each. Tomorrow a planner will ask: *if I moved there, what
# would happen?* It will ask thousands of times, also about cycles in which the mesh was unlucky. Which model should
# answer, and how far can it be trusted?

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
source: str = "testbed"  # traces that the chapter is about: testbed (shipped) or kth (published, where fetched)
seed: int = 0  # of models, folds and bootstrap
repeats: int = 10  # times the folds of the cross-validation are drawn anew
refits: int = 20  # bootstrap refits of the model (resampled visits)
kth_repeats: int = 2  # the same for the published trace

# %%
import time
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

# %%
from netrollout import plots
from netrollout.dp import MDP
from netrollout.evaluate import bootstrap
from netrollout.models import SURROGATES, certain, held_out_error, make_surrogate, tabulate
from netrollout.results import Results
from netrollout.systems.mesh.realise import MODEL_WINDOWS, learned, rows, split, windows_table
from netrollout.systems.mesh.scenario import load_scenario
from netrollout.traces import kth_available, trace_files

# %%
plots.use_style()
asked = dict(source=source, seed=seed, repeats=repeats, refits=refits, kth_repeats=kth_repeats)
used = trace_files("mesh/s2_before") if source == "testbed" else {}
results = Results("02_system_models", profile, asked, data=used)
scenario = load_scenario("mesh-s2", source)
bound = scenario.objective.bounds[0]
results.value("bound", 1000 * bound, unit="ms")

# %% [markdown]
# ## What is learned, and what is not
#
# In the mesh only one thing is unknown: the response time $d$ that a window shows when the controls stand at $(p, c)$
# and the load is $l$. How controls move and what the reward is, we know; nothing is gained by learning them. So we want
#
# $$
# z = (p, c, l) \;\longmapsto\; \text{the distribution of } d \text{ given } z .
# $$ (model)
#
# All our models but one learn $\log d$. Response times span more than a decade, they cannot be negative, and an error
# of 10 ms means something else at 30 ms than at 300 ms.
#
# | name | how it predicts the middle | where its distribution comes from |
# |---|---|---|
# | `forest` | random forest {cite}`breiman2001forests` on $\log d$ | training windows, weighted by shared leaves |
# | `mean-forest` | random forest on $d$, as published {cite}`samani2024online` | none: a point |
# | `linear` | ridge regression of $\log d$ on squares and products of $z$ | residuals of held-out visits |
# | `boosting` | gradient boosting on $\log d$ | residuals of held-out visits |
# | `queueing` | Erlang's formula {eq}`erlang`, its times fitted | residuals of held-out visits |
# | `table` | the nearest configuration | its windows |


# %%
def data(scenario):
    """Return features (n, F), response (n, V) in s, and visit (n,) of a scenario's windows before the change."""
    frame = rows(scenario, "before")
    features = scenario.mesh("before").grid_features()[frame["grid"]]
    return features, frame[["d_compute"]].to_numpy(), frame["visit"].to_numpy()


features, response, visit = data(scenario)
results.value("windows", len(response))
results.value("span", float(response.max() / response.min()))

# %% [markdown]
# The trace has {res}`02_system_models/windows` windows, the slowest {res}`02_system_models/span:.0f` times as slow as
# the fastest.
#
# ## Errors that do not flatter
#
# Let $y_i$ be measured and $\hat y_i$ predicted means, $\bar y$ the mean of the $y_i$. We use
#
# $$
# \mathrm{NMAE} = \frac{\sum_i |y_i - \hat y_i|}{\sum_i y_i}, \qquad
# R^2 = 1 - \frac{\sum_i (y_i - \hat y_i)^2}{\sum_i (y_i - \bar y)^2} .
# $$ (errors)
#
# What matters more than the formula is which windows are held out together:
#
# - **by visit**: the configuration is known from other visits. This is what a planner needs that stays on the grid.
# - **by configuration**: the configuration was never met. This is what we need where the grid is too large to measure.
#
# And since decisions are made near the bound, we report the error over all windows and in the **operating region**,
# the windows up to twice the bound. Choosing rows by their measured value lowers their variance, so $R^2$ falls there
# by construction; compare models within a column, never across.


# %%
def errors(name, by, fold_seed, scenario, trace):
    """Return the error rows of one cross-validation."""
    controls = [control.name for control in scenario.controls]
    make = partial(make_surrogate, name, seed=seed, controls=controls, services=scenario.services)
    region = 2 * scenario.objective.bounds[0]
    return held_out_error(make, *trace, by=by, seed=fold_seed, region=region)


def runs(name, by, scenario, trace, repeats):
    """Return NMAE, R2 and coverage (repeats, regions, 3)."""
    all_runs = [errors(name, by, seed + k, scenario, trace) for k in range(repeats)]
    return np.array([[(row.nmae, row.r2, row.coverage) for row in run] for run in all_runs])


# %%
ways = [(name, by) for name in SURROGATES for by in ("visit", "configuration")]
found = {way: runs(*way, scenario, (features, response, visit), repeats) for way in ways}
how = f"bootstrap over {repeats} draws of 5 folds"
for (name, by), values in found.items():
    for r, region in enumerate(("all", "operating")):
        for m, metric in enumerate(("nmae", "r2", "coverage")):
            e = bootstrap(values[:, r, m], seed=seed)
            results.value(f"{name}.{by}.{region}.{metric}", e.value, e.low, e.high, n=repeats, how=how)


# %%
def cell(name, by, region, metric):
    """Write a recorded value with its interval."""
    e = results.record["values"][f"{name}.{by}.{region}.{metric}"]
    return f"{e['value']:.2f} [{e['low']:.2f}, {e['high']:.2f}]"


# %%
for region in ("all", "operating"):
    parts = [(by, metric) for by in ("visit", "configuration") for metric in ("nmae", "r2")]
    table = [[name, *(cell(name, by, region, metric) for by, metric in parts)] for name in SURROGATES]
    header = ["model", *(f"{'R2' if metric == 'r2' else 'NMAE'} by {by}" for by, metric in parts)]
    results.table(f"errors-{region}", header, table)
for by in ("visit", "configuration"):
    best = min(SURROGATES, key=lambda name: results.record["values"][f"{name}.{by}.all.nmae"]["value"])
    results.value(f"best-by-{by}", best)

# %% [markdown]
# All windows:
#
# ```{restable} 02_system_models/errors-all
# :caption: Errors over all windows; the smaller NMAE and the larger R2 the better
# ```
#
# The operating region:
#
# ```{restable} 02_system_models/errors-operating
# :caption: Errors in the operating region
# ```
#
# The brackets are 95 % intervals over new draws of the folds. They say how much the split matters, not how another
# campaign would come out.

# %% mystnb={"image": {"alt": "Bars of the normalised mean absolute error of six models, with intervals, on the left with whole visits held out, on the right with whole configurations held out."}}
figure, panels = plt.subplots(1, 2, figsize=(8, 3.4), sharex=True, sharey=True)
for axes, by in zip(panels, ("visit", "configuration"), strict=True):
    entries = [results.record["values"][f"{name}.{by}.all.nmae"] for name in SURROGATES]
    plots.interval_bars(axes, list(SURROGATES), *([e[k] for e in entries] for k in ("value", "low", "high")))
    axes.set(xlabel="NMAE (share of the mean)", title=f"held out by {by}")
panels[1].invert_yaxis()  # the panels share the axis, which interval_bars turned twice
plots.provenance_line(figure, results.record)
plt.show()

# %% [markdown]
# With visits held out, {res}`02_system_models/best-by-visit` has the smallest mean error; with configurations held out,
# {res}`02_system_models/best-by-configuration` has. Before you name a winner, look whether its interval is clear of the
# others' in the table: much of every bar is noise between windows, which no model can predict.
#
# The most general learner is not the best one here. On the shipped trace the fitted queueing formula, which has a
# handful of parameters and the right shape, is ahead of the forests; little separates the forest from the bare table
# where the configuration is known, and much where it is new.
#
# Why is $R^2$ negative in the operating region? There we keep only windows that happened to be quick. The noise of two seconds is larger than what separates the
# configurations that remain, so the mean of the kept windows predicts them better than any model of the configurations can.
#
# We go on with the forest. It claims least about the system, and it works where no formula is at hand. Nothing above says that it predicts best, and a later
# chapter asks which model *decides* best.

# %% [markdown]
# ## Do the quantiles mean what they say?
#
# A predictive distribution is **calibrated** if a share $\alpha$ of fresh windows falls below its $\alpha$-quantile. We
# fit on the model's visits (two of three) and count on the third, which the model has not seen.

# %%
mesh, forest = learned(scenario, "before", "forest", seed, None, "model")
held = split(rows(scenario, "before"), "plant")
levels = (np.arange(20) + 0.5) / 20
fresh = held[["d_compute"]].to_numpy()
below = fresh <= forest.windows(mesh.grid_features()[held["grid"]], 20)[:, :, 0]
per_visit = np.stack([below[held["visit"] == v].mean(axis=0) for v in held["visit"].unique()])
curve = [bootstrap(per_visit[:, i], seed=seed) for i in range(20)]
results.value("calibration-error", float(np.mean([abs(e.value - a) for e, a in zip(curve, levels, strict=True)])))
results.value(
    "median-below", curve[9].value, curve[9].low, curve[9].high, n=len(per_visit), how="bootstrap over visits"
)

# %% mystnb={"image": {"alt": "Calibration curve of the forest: share of held-out windows below each predicted quantile, with a band, against the quantile's level, and the diagonal of perfect calibration."}}
figure, axes = plt.subplots(figsize=(6, 4))
plots.band(axes, levels, *([getattr(e, k) for e in curve] for k in ("value", "low", "high")), label="forest")
axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, label="calibrated")
axes.set(xlabel="level of the predicted quantile", ylabel="share of held-out windows below it")
axes.legend()
plots.provenance_line(figure, results.record)
plt.show()

# %% [markdown]
# On average over the levels the curve is {res}`02_system_models/calibration-error:.1%` away from the diagonal. Of the
# held-out windows, {res}`02_system_models/median-below:.0%:interval` lie below the quantile of level 0.475. The central
# 80 % of the forest's distribution hold {res}`02_system_models/forest.visit.all.coverage:.0%:interval` of the windows
# when visits are held out, and {res}`02_system_models/forest.configuration.all.coverage:.0%:interval` when
# configurations are; for the `mean-forest`, which predicts a point, that share is
# {res}`02_system_models/mean-forest.visit.all.coverage:.0%`.
#
# ## Why the response needs a distribution
#
# Look at one setting, $p = 0.6$ and $c = 1$. Within the bound $O$ a cycle pays 0.8 there; beyond it, it costs the seconds by which it is late. What does
# the model say?

# %%
grid = mesh.grid_features()
at = int(np.flatnonzero((grid[:, 0] == 0.6) & (grid[:, 1] == 1))[0])
drawn = forest.windows(grid[[at]], MODEL_WINDOWS)[0, :, 0]


def pays(d):
    return np.where(d <= bound, 0.8, bound - d)


print(f"mean window {1000 * drawn.mean():.0f} ms, bound {1000 * bound:.0f}")
print(f"reward of the mean window  r(E d) = {pays(drawn.mean()):.2f}")
print(f"mean reward of the windows E r(d) = {pays(drawn).mean():.2f}")

# %% mystnb={"image": {"alt": "Dots of the twenty-five windows that the forest foresees at p 0.6 and c 1, with the bound as a line and their mean as a cross. About half of the windows lie left of the bound; the mean lies right of it."}, "figure": {"caption": "What the forest foresees at one setting. The average has fallen off the cliff; half of the windows have not."}}
figure, axes = plt.subplots(figsize=(6.4, 1.6))
axes.plot(1000 * drawn, np.zeros(len(drawn)), "|", markersize=18)
axes.plot(1000 * drawn.mean(), 0, "x", color="#D55E00", label="mean")
axes.axvline(1000 * bound, color="black", label="bound")
axes.set(xlabel="response time of a window (ms)", yticks=[])
axes.legend(ncols=2, fontsize=8)
plots.provenance_line(figure, results.record)

# %% [markdown]
# A planner that trusts the average books nothing there and never goes. But about half of the windows hold the bound. A planner needs
# $\mathrm{E}\,r(z, d)$, and a model that predicts a point can only offer $r(z, \mathrm{E}\,d)$. The package computes the first for every setting at
# once, and must agree:


# %%
def hold(table):
    """Return the expected reward (G,) of holding still at every grid point."""
    return MDP.from_system(mesh.with_response(table)).reward[:, 4]  # joint action 4 of 9 changes neither control


# %%
table = tabulate(forest, mesh, MODEL_WINDOWS)
expected, point = hold(table), hold(certain(table))
assert abs(expected[at] - pays(drawn).mean()) < 1e-9
plant = hold(windows_table(scenario, "before", held))
gap = point - expected
worst = int(np.abs(gap).argmax())
results.value("largest-gap", float(abs(gap[worst])), unit="reward/cycle")
results.value("largest-gap.p", float(mesh.grid_features()[worst, 0]))
results.value("largest-gap.c", int(mesh.grid_features()[worst, 1]))

# %% mystnb={"image": {"alt": "Heat map over routing weight p and workers c of the reward of the mean response time minus the expected reward. Differences are close to zero far from the bound and largest where the mean lies near the bound."}}
shape = tuple(len(control.levels) for control in scenario.controls)
figure, axes = plt.subplots(figsize=(6.5, 3.6))
p, c = (control.levels for control in scenario.controls)
plots.grid_map(axes, gap.reshape(shape).T, p, [int(x) for x in c], "r(E d) - E r(d) (reward/cycle)")
axes.set(xlabel="routing weight p to node 1", ylabel="workers c of node 1")
plots.provenance_line(figure, results.record)
plt.show()

# %% [markdown]
# The largest difference is {res}`02_system_models/largest-gap:.2f`, at $p$ = {res}`02_system_models/largest-gap.p` and
# $c$ = {res}`02_system_models/largest-gap.c`; the most a cycle can pay is 0.8. Far from the bound both agree, since
# there all windows hold it or all break it. Which of the two is nearer to what the held-out windows pay?

# %%
tables = [tabulate(learned(scenario, "before", "forest", seed, k, "model")[1], mesh, MODEL_WINDOWS)
          for k in range(refits)]  # fmt: skip
misses = {
    "E r(d)": np.array([np.abs(hold(t) - plant).mean() for t in tables]),
    "r(E d)": np.array([np.abs(hold(certain(t)) - plant).mean() for t in tables]),
}
misses["difference"] = misses["r(E d)"] - misses["E r(d)"]
estimates = {name: bootstrap(values, seed=seed) for name, values in misses.items()}
lines = [[name, *(round(getattr(e, k), 3) for k in ("value", "low", "high"))] for name, e in estimates.items()]
results.table("rewards", ["reward predicted as", "mean absolute miss (reward/cycle)", "low", "high"], lines)

# %% [markdown]
# ```{restable} 02_system_models/rewards
# :caption: How far the predicted reward is from what the held-out windows pay
# ```
#
# Means over the grid, 95 % intervals over refits on resampled visits. A positive difference says that the expected
# reward is the better prediction. The plant's own value rests on the few windows of one visit, so neither miss can be
# zero.
#
# ## Tabulate once
#
# A planner asks for the same few grid points again and again, so the fitted model is asked once per point and stored as
# a table of equally likely windows. What that costs:

# %%
clock = []
for name in SURROGATES:
    began = time.perf_counter()
    fitted = learned(scenario, "before", name, seed, None, "model")[1]
    between = time.perf_counter()
    tabulate(fitted, mesh, MODEL_WINDOWS)
    clock.append([name, round(between - began, 3), round(time.perf_counter() - between, 3)])
results.table("cost", ["model", "fitting (s)", "tabulating (s)"], clock, live=True)

# %% [markdown]
# ```{restable} 02_system_models/cost
# ```
#
# ## The same on the published trace

# %%
if kth_available("noms2024_scenario2_before"):
    published = load_scenario("mesh-s2", "kth")
    kth = {(name, by): runs(name, by, published, data(published), kth_repeats)[:, 0].mean(axis=0) for name, by in ways}
    lines = [[name, *(round(float(kth[name, by][m]), 3) for by in ("visit", "configuration") for m in (0, 1))]
             for name in SURROGATES]  # fmt: skip
    results.table("kth.errors", ["model", "NMAE by block", "R2 by block", "NMAE by conf.", "R2 by conf."], lines)
else:
    results.not_run("kth", "the published traces have not been fetched (netrollout data fetch kth)")
    print("not run here: " + results.record["not_run"]["kth"])

# %% [markdown]
# ```{restable} 02_system_models/kth.errors
# ```
#
# There every configuration was visited once. What is held out "by visit" are blocks of five windows of a visit that the
# model has otherwise seen, which is kinder; only the errors by configuration compare with ours.
#
# ## What we assumed
#
# - A window depends on its own configuration, not on the one before: queues carried over are not modelled.
# - Windows of one configuration are drawn independently from one distribution.
# - The grid is all that is ever asked. Between its points the errors by configuration apply, beyond it nothing does.
#
# ## Exercises
#
# ```{exercise}
# :label: ex-models-leak
# Hold out windows at random instead of visits: give every window its own visit number. What should happen to the error
# of `table`, and what does chapter {doc}`01_testbed_and_traces` say about how much?
# ```
#
# ```{solution} ex-models-leak
# :class: dropdown
# If visits differed, the error would fall, because neighbours of the held-out window are in the training set. With a
# design effect near one it hardly changes. That is a finding about this trace, not a licence.
# ```
#
# ```{exercise}
# :label: ex-models-cliff
# Let $d$ be normal with mean $O - \varepsilon$ and standard deviation $s$, and let a cycle pay 1 if $d \le O$ and 0
# otherwise. Compute $r(\mathrm{E}\,d) - \mathrm{E}\,r(d)$ for $\varepsilon \to 0$ from above, and for $\varepsilon = 2s$.
# ```
#
# ```{solution} ex-models-cliff
# :class: dropdown
# $1 - \Phi(\varepsilon/s)$: one half just below the bound, and 0.023 two standard deviations below it.
# ```
#
# ```{exercise}
# :label: ex-models-log
# The mean forest learns $d$ itself. Explain why a model of $\log d$ that predicts $\exp(\mathrm{E}\log d)$ would be too
# low on average, and how the forest here avoids it.
# ```
#
# ```{solution} ex-models-log
# :class: dropdown
# By Jensen's inequality $\exp(\mathrm{E}\log d) \le \mathrm{E}\,d$. The forest splits on $\log d$ but predicts weighted
# quantiles of the measured $d$, and its mean is the mean of these quantiles.
# ```
#
# ```{exercise}
# :label: ex-models-pinball
# **Program.** Show with a thousand draws that the number $q$ with the smallest mean of $\max(\alpha (d - q), (\alpha - 1)(d - q))$ is the $\alpha$-quantile.
# ```
#
# ```{solution-start} ex-models-pinball
# :class: dropdown
# Being too low costs $\alpha$ per unit, being too high $1 - \alpha$. At the minimum both sides pull alike, so a share $\alpha$ lies below.
# ```

# %% tags=["solution"]
sample, level = np.random.default_rng(seed).lognormal(size=1000), 0.9
trials = np.linspace(0.1, 10, 500)
miss = sample[:, None] - trials
loss = np.maximum(level * miss, (level - 1) * miss).mean(axis=0)
best = trials[loss.argmin()]
print(best.round(2), np.quantile(sample, level).round(2))
assert abs((sample <= best).mean() - level) < 0.01

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise}
# :label: ex-models-break
# **Break it.** Fit the table of means on *all* visits and judge it on the third. By how much does its error fall, though it has learned nothing new?
# ```
#
# ```{solution-start} ex-models-break
# :class: dropdown
# The judge's own windows are in the mean. That is a leak, and it is why whole visits are held out.
# ```

# %% tags=["solution"]
frame = rows(scenario, "before")
third = split(frame, "plant")
honest = split(frame, "model").groupby("grid")["d_compute"].mean()
leaky = frame.groupby("grid")["d_compute"].mean()
off = [np.abs(third["d_compute"] - third["grid"].map(m)).mean()
       for m in (honest, leaky)]  # fmt: skip
print([f"{1000 * e:.1f} ms" for e in off])
assert off[1] < off[0]

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise}
# :label: ex-models-open
# **Open.** You may add one column to the trace. Which one would make the response easier to predict, and would a planner know it in time?
# ```
#
# ```{solution} ex-models-open
# :class: dropdown
# There is no single answer. The work that waits when the window begins would help most; a planner knows it for the coming window, but not for the one after it.
# ```
#
# ## Recap
#
# - Learn the response only, as a distribution; keep what is known.
# - Hold out what the planner will meet as new: visits on a measured grid, configurations on a larger one.
# - Near a cliff in the reward, $\mathrm{E}\,r(d)$ and $r(\mathrm{E}\,d)$ differ, and only the first is what a cycle pays.
#
# ## Further reading
#
# Random forests: {cite}`breiman2001forests`. The published model and what it was used for: {cite}`samani2024online`.

# %%
_ = results.write()
