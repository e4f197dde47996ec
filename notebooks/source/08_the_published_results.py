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
# # The published results
#
# **After this chapter you can**
#
# - recompute a published reward column to the last digit from the response times beside it;
# - tell the load that a simulator credits from the load that a testbed carried, and say what it does to a result;
# - compare planning on a learned model with the best static setting on cross-fitted halves, and show the winner's curse in an
#   "optimum" over many noisy predictions;
# - put an interval on a single run of a dependent series, and say what it does not cover.
#
# **You need** the chapters {doc}`01_testbed_and_traces` and {doc}`02_system_models`, and the published traces
# (`netrollout data fetch kth`): they are not ours to ship. The quick profile runs in well under a minute, the full one in a few minutes
# on two cores.
#
# ## The question
#
# Two papers {cite}`samani2022dynamically,samani2024framework` train a policy by reinforcement learning on a simulator that was learned
# from a service mesh, and then run it on that mesh. Their authors did something rare: they published the trace, every
# step of their evaluations, and the optimal reward at every load. So we need not take a number from a page. We can recompute
# it, see how it comes about, and ask one question more: *how much of the result needs planning at all?*
# One constant setting, chosen once, is the yardstick.
#
# All that follows is possible because those files are public. Where we find something that its authors did not see, we found it in data
# that they gave us.

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
seed: int = 0  # of splits, forests and resampling
splits: int = 6  # random halves of the configurations; each brings six forests
trees: int = 120  # per forest, as published
leaves: list = [1, 3, 5, 10, 20, 40]  # smallest leaves tried; the one with the smallest held-out error is used
count: int = 48  # unseen loads, evenly spaced along the published sinusoid

# %%
import matplotlib.pyplot as plt
import numpy as np

from netrollout import plots
from netrollout.evaluate import bootstrap
from netrollout.results import Results
from netrollout.studies import tnsm
from netrollout.studies.bandit import held_out_error, published_windows
from netrollout.studies.crossfit import cross_fit
from netrollout.traces import read_kth, read_kth_steps, registry

# %%
plots.use_style()
asked = dict(seed=seed, splits=splits, trees=trees, leaves=leaves, count=count)
files = {name: registry()[name].path for name in ("kth_traces", "kth_evaluations")}
results = Results("08_the_published_results", profile, asked, data=files)

# %% [markdown]
# ## The objectives
#
# Two information services $S_1, S_2$ send their requests to two nodes. The state is the offered load $(l_1,l_2)$ in requests per second.
# An action sets four levels at once: the routing weights $p_1,p_2$ to node 1 and the blocking rates $b_1,b_2$, each from
# $\{0,.2,\dots,1\}$, so there are $6^4=1296$ actions. Let $d_i$ be the larger of the mean response times of service $i$ over the two
# nodes, in seconds, and $cl_i$ its carried load in requests per second. What is credited fades out behind a bound $O_i$:
#
# $$
# y_i = cl_i \ \text{ if } d_i\le O_i,\qquad y_i = \frac{cl_i}{1+e^{200\,(d_i-x_i)}}\ \text{ otherwise,}
# $$ (credit)
#
# with $O_1=.035$, $x_1=.05$, $O_2=.110$, $x_2=.113$ seconds. Throughput (MO1) pays $r=y_1+y_2$ per control cycle, differentiation
# (MO2) pays $r=y_1+5y_2$. The third published objective could not be recovered exactly from its files; MO3 here is **our own**:
# $r=y_2-2\,(5-cl_1)^+$, service 2 counts once service 1 carries five requests per second.
#
# Nothing that an action does reaches the next cycle: the load comes from outside and settings are absolute. This is a **contextual
# bandit**, not a Markov decision process that needs lookahead. The best policy maximises $\mathrm E\,r$ load by load.
#
# ## Do the published rewards follow from the published response times?

# %%
for name, figure in (("mo1", 13), ("mo2", 16)):
    ours, theirs = tnsm.recomputed_rewards(figure).T
    results.value(f"{name}.error", float(abs(ours - theirs).max()), unit="req/s")
    results.value(f"{name}.steps", len(ours), unit="steps")
    print(f"figure {figure}: {len(ours)} steps, largest difference {abs(ours - theirs).max():.1e}")

# %% [markdown]
# Yes, all of them. Recomputed with {eq}`credit`, the {res}`08_the_published_results/mo1.steps` of figure 13 (MO1, simulator) differ
# from the published column by at most {res}`08_the_published_results/mo1.error:.0e`, the {res}`08_the_published_results/mo2.steps` of figure 16
# (MO2,
# testbed) by at most {res}`08_the_published_results/mo2.error:.0e`: rounding of the last bit. But they agree for two different meanings of
# $cl_i$. The simulator credits the **nominal** carried load $l_i(1-b_i)$; the testbed credits the carried load that was **measured**.
#
# ## What was carried

# %%
trace = read_kth("cnsm2022")
off = [(trace[f"cl_{s}"] - trace[f"cl_nominal_{s}"]).abs() > 1e-6 for s in ("info1", "info2")]
results.value("carried.differs", float(np.mean(off)), how="mean over both services of the share of windows")
free = trace[(trace["b_info1"] == 0) & (trace["target_l_info1"] == 20)]
results.value("carried.free", float(free["cl_info1"].mean()), unit="req/s")
results.value("carried.dropped", float(free["drop_info1"].mean()), unit="req/s")
run = read_kth_steps(16)
results.value(
    "carried.testbed", float((run["cl1"].sum() + run["cl2"].sum()) / (run["limit1"].sum() + run["limit2"].sum()))
)
first = trace[(trace["b_info1"] == 0) & (trace["window"] == 1)]
results.value("carried.first", float(first["cl_info1"].mean()), unit="req/s")

# %% mystnb={"image": {"alt": "Two panels over the blocking rate, one line per offered load: the nominal carried load of service 1 falls linearly and is larger for larger loads; the measured carried load is nearly the same for loads of 10, 15 and 20 requests per second and stays below about 6."}}
figure, panels = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained", sharey=True)
for axes, column, words in zip(panels, ("cl_nominal_info1", "cl_info1"), ("nominal", "measured"), strict=True):
    for load, part in trace.groupby("target_l_info1"):
        mean = part.groupby("b_info1")[column].mean()
        axes.plot(mean.index, mean, marker="o", label=f"offered {load:.0f} req/s")
    axes.set(xlabel="blocking rate of service 1", title=words)
panels[0].set_ylabel("carried load of service 1 (req/s)")
panels[0].legend()
plots.provenance_line(figure, results.record)

# %% [markdown]
# **What the figure says.** In {res}`08_the_published_results/carried.differs:.0%` of the windows the measured carried load is not the
# nominal one. With nothing blocked and 20 requests per second offered, {res}`08_the_published_results/carried.free:.1f` were carried and
# {res}`08_the_published_results/carried.dropped:.1f` dropped; the settings $b=.8$ and $b=1$ coincide. The trace never shows what response
# times would be if the nominal load were carried. A simulator that pairs the response times *of the carried load* with credit *for the nominal
# load* pays for requests that nobody served, and the better its optimum, the more of them.
#
# In the testbed run of figure 16, on the other hand, the measured carried load is
# {res}`08_the_published_results/carried.testbed:.2f` times what the setting admits: the limit that shows in the trace was not in
# force there. So the trace and the evaluation met two different systems: what was learned at a small carried load was applied at a
# much larger one.
#
# ## Two swapped columns
#
# The file names its weights p11 (service 1 to node 1) and p21 (service 2 to node 1). If a service sends nothing to a node, no request of
# it can complete there, and the mean response time over that node is missing.

# %%
pairs = {"p21 = 0": trace["p_info1"] == 0, "p11 = 0": trace["p_info2"] == 0}  # the reader has exchanged them already
shares = {
    f"d{i}1, {name}": float(trace.loc[rows, f"d_info{i}_1"].notna().mean())
    for i in (1, 2)
    for name, rows in pairs.items()
}
for key, name in (("right", "d11, p21 = 0"), ("wrong", "d11, p11 = 0")):
    results.value(f"swap.{key}", shares[name])

# %% mystnb={"image": {"alt": "Four horizontal bars: response times over node 1 of service 1 are never there when p21 is zero and mostly there when p11 is zero; for service 2 it is the other way round."}}
figure, axes = plt.subplots(figsize=(6, 2.2), layout="constrained")
plots.interval_bars(axes, list(shares), *[list(shares.values())] * 3)
axes.set_xlabel("share of windows with a completed request over node 1")
plots.provenance_line(figure, results.record)

# %% [markdown]
# **What the figure says.** Service 1 completes requests over node 1 in {res}`08_the_published_results/swap.wrong:.0%` of the windows with
# p11 = 0 and in {res}`08_the_published_results/swap.right:.0%` of those with p21 = 0. The two columns must be exchanged. A simulator
# fit on the
# file is not harmed, since it learns what each column does; anyone who reads the settings of its optimum is. We exchange them on reading.
#
# ## The policies as a share of the published optimum
#
# The files list an optimal reward per load. The policy's share of it is the sum of its rewards over the sum of the listed ones. Row
# $t$ of a run holds the load *after* the step, so the reward belongs to the load of row $t-1$. Rewards along a run depend on each
# other; the intervals resample blocks of fifty consecutive steps.


# %%
def fraction(figure):
    pairs = tnsm.against_optimum(figure)
    draws = tnsm.block_means(pairs, seed)
    return pairs, tnsm.estimate(pairs[:, 0].sum() / pairs[:, 1].sum(), draws[:, 0] / draws[:, 1], len(pairs) // 50)


how = "circular block bootstrap of one run, blocks of 50 steps"
for number in (12, 13, 16, 17):
    pairs, e = fraction(number)
    results.value(f"fraction.{number}", e.value, e.low, e.high, n=e.n, how=how)
    results.value(f"above.{number}", float((pairs[:, 0] > pairs[:, 1] + 1e-9).mean()))

# %% mystnb={"image": {"alt": "Reward along the first 300 steps of figures 13 and 16: the published policy and the listed optimum. On the simulator the policy stays just below the optimum; on the testbed it jumps between far below and slightly above it."}}
figure, panels = plt.subplots(2, 1, figsize=(7, 4.6), layout="constrained", sharex=True)
for axes, number, words in zip(panels, (13, 16), ("figure 13: MO1, simulator", "figure 16: MO2, testbed"), strict=True):
    policy, optimum = tnsm.against_optimum(number)[:300].T
    axes.plot(optimum, label="listed optimum", color="black", linewidth=1)
    axes.plot(policy, label="published policy", linewidth=1)
    axes.set(ylabel="reward (req/s)", title=words)
panels[1].set_xlabel("step (control cycle)")
panels[0].legend()
plots.provenance_line(figure, results.record)

# %% [markdown]
# **What the figure says.** On the simulator the policy reaches {res}`08_the_published_results/fraction.12:.3f:interval` of the listed
# optimum at the loads of its training (figure 12) and {res}`08_the_published_results/fraction.13:.3f:interval` along the sinusoid that it had not
# seen (figure 13). On the testbed it reaches {res}`08_the_published_results/fraction.16:.3f:interval` for MO2 (figure 16) and
# {res}`08_the_published_results/fraction.17:.3f:interval` for the third objective (figure 17). On the simulator
# {res}`08_the_published_results/above.13:.0%` of the steps of figure 13 are above the optimum, but
# {res}`08_the_published_results/above.16:.0%` of the testbed steps of figure 16 are: the list is the optimum of the *simulator*. It
# credits nominal load and predicts the mean response time, whereas on the
# testbed each window counts as it came, and one that is a millisecond late loses two fifths of service 2's credit.
#
# ## How good is a constant setting?
#
# Near the optimum is only good news if it is hard to get there. So we learn our own model from the trace and compare on halves:
#
# - The 1296 configurations, each one uninterrupted visit, are split at random into halves $A$ and $B$. Windows of one visit never stand on
#   both sides. A forest on $A$ plans, a forest on $B$ judges; then the other way round.
# - The forest predicts *outcomes*: the expected share of the load that is credited, $\mathrm E\,[y_i/cl_i]$, not the credit at the expected
#   response time. It is a quantile forest {cite}`breiman2001forests` asked for a mean of the function instead of a quantile.
# - Two credits, nominal (the simulators') and measured (the testbed's), and two patterns of load: the sixteen pairs of training levels
#   (seen), and the sinusoid of figure 13 (unseen).
#
# The smallest leaf is the one number of the forest that matters here. We choose it by its error on held-out configurations, before any
# policy is compared.


# %%
def best_leaf(windows):
    errors = np.array([held_out_error(windows, trees, leaf, seed) for leaf in leaves])
    return leaves[int(errors.sum(axis=1).argmin())], errors


windows = published_windows()
min_leaf, errors = best_leaf(windows)
names = ["share 1", "share 2", "y1 measured", "y2 measured", "shortfall", "sum"]
results.table("leaves", ["smallest leaf", *names], [[n, *e, e.sum()] for n, e in zip(leaves, errors, strict=True)])
results.value("leaf", min_leaf, unit="windows")

# %% [markdown]
# ```{restable} 08_the_published_results/leaves
# :caption: Squared error over variance on configurations that the forest has not seen; 1 is no better than the mean.
# ```
#
# The sum is smallest for a smallest leaf of {res}`08_the_published_results/leaf`, and that is what all forests below use. The measured
# credit of service 1 is easy; how much of service 1 is late (share 1) can hardly be predicted for a new configuration, because little of
# it is; service 2 is in between. Now the comparison.

# %%
patterns = {"seen": tnsm.seen_pattern(), "unseen": tnsm.published_pattern(13, count)}
study = cross_fit(windows, patterns, splits, trees, min_leaf, seed)
ORDER = ["random", "rule", "published", "static", "planned", "oracle", "oracle, by itself", "optimum", "informed"]


# %%
def cell(values):
    e = bootstrap(values, crossed=True)
    return f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f})"


def compare(name, parts):
    rows = [[p, *(cell(part[p]) if p in part else None for part in parts.values())] for p in ORDER]
    results.table(name, ["policy", *parts], rows)


for objective in ("MO1", "MO2", "MO3"):
    parts = {f"{c}, {p}": study.judged[objective, c, p] for c in ("nominal", "measured") for p in patterns}
    raw = {f"{c}, raw windows": study.raw[objective, c] for c in ("nominal", "measured")}
    compare(objective, parts | raw)

# %% [markdown]
# ```{restable} 08_the_published_results/MO1
# :caption: MO1, mean reward per control cycle (req/s) with 95 % intervals.
# ```
#
# ```{restable} 08_the_published_results/MO2
# :caption: MO2, mean reward per control cycle (req/s) with 95 % intervals.
# ```
#
# ```{restable} 08_the_published_results/MO3
# :caption: MO3 (ours), mean reward per control cycle (req/s) with 95 % intervals.
# ```
#
# How to read the rows. `rule` needs no model: route evenly, admit at most 15 requests per second of each service. `static` is the plan's
# best constant action and `planned` its best action load by load. `published` is what the published policy did at these loads (the runs of
# figures 12 and 13, a policy trained for MO1; beside MO2 and MO3 it only shows how little the objective changes). It was trained
# on *all* windows, so half $B$ is not new to it. `oracle` is cross-fitted: picked load by load on three quarters of the
# configurations, valued by the fourth (its gain over `static`, by that quarter's forest, is added to the row of `static`). `oracle, by
# itself` has the gain that the picking forests promise, and `optimum` is the judge's own largest prediction, which no policy can
# pass. On raw windows `static` and `planned` choose among configurations that the plan has
# never seen; `informed` is picked by the judge's forest, which has seen these very windows.

# %%
keys = {f"{o}.{c}.{p}".lower(): study.judged[o, c, p] for o, c, p in study.judged}
keys |= {f"{o}.{c}.raw".lower(): study.raw[o, c] for o, c in study.raw}
how = f"crossed bootstrap over {splits} random halves x loads"
for key, part in keys.items():
    e = bootstrap(part["planned"] - part["static"], crossed=True)
    results.value(f"{key}.gain", e.value, e.low, e.high, n=e.n, unit="req/s", how=how)
    if "optimum" in part:
        curse = bootstrap(part["oracle, by itself"] - part["oracle"], crossed=True)
        results.value(f"{key}.curse", curse.value, curse.low, curse.high, n=curse.n, unit="req/s", how=how)


# %%
for key in ("mo1.nominal.seen", "mo1.nominal.unseen", "mo2.nominal.unseen"):
    for policy in ("static", "planned", "published"):
        for whole in ("optimum", "oracle"):
            e = bootstrap(keys[key][policy].mean(axis=1) / keys[key][whole].mean(axis=1))
            name = f"{key}.{policy}-of-{whole}"
            results.value(name, e.value, e.low, e.high, n=e.n, how=f"bootstrap over {splits} random halves")

# %% mystnb={"image": {"alt": "Horizontal bars with intervals: reward of planning load by load minus reward of the best static setting, for three objectives, two credits, and seen, unseen and raw held-out windows."}}
figure, axes = plt.subplots(figsize=(7, 5.4), layout="constrained")
gains = {key: results.record["values"][f"{key}.gain"] for key in keys}
plots.interval_bars(axes, list(gains), *zip(*((g["value"], g["low"], g["high"]) for g in gains.values()), strict=True))
axes.set_xlabel("planned minus best static, reward per cycle (req/s)")
plots.provenance_line(figure, results.record)

# %% [markdown]
# **What the figure says.** A bar to the right of zero means that planning load by load pays. For MO1 with the simulators' credit the
# paired gain over the best static setting is {res}`08_the_published_results/mo1.nominal.seen.gain:.2f:interval` at seen loads and
# {res}`08_the_published_results/mo1.nominal.unseen.gain:.2f:interval` along the unseen sinusoid; with the measured credit it is
# {res}`08_the_published_results/mo1.measured.seen.gain:.2f:interval` and
# {res}`08_the_published_results/mo1.measured.unseen.gain:.2f:interval`.
# For MO2 the four numbers are {res}`08_the_published_results/mo2.nominal.seen.gain:.2f:interval`,
# {res}`08_the_published_results/mo2.nominal.unseen.gain:.2f:interval`,
# {res}`08_the_published_results/mo2.measured.seen.gain:.2f:interval` and
# {res}`08_the_published_results/mo2.measured.unseen.gain:.2f:interval`. On the raw held-out windows, no model between us and the
# measurement: MO1 {res}`08_the_published_results/mo1.nominal.raw.gain:.2f:interval` (nominal) and
# {res}`08_the_published_results/mo1.measured.raw.gain:.2f:interval` (measured), MO2
# {res}`08_the_published_results/mo2.nominal.raw.gain:.2f:interval` and {res}`08_the_published_results/mo2.measured.raw.gain:.2f:interval`.
# Wherever an interval covers zero, these data do not tell planning from one constant setting; where it lies below zero, choosing
# anew at each load follows the noise of the model, and a constant, whose prediction is averaged over all loads, is the safer choice.
#
# The share of the optimum says the same. At unseen loads the best static setting reaches
# {res}`08_the_published_results/mo1.nominal.unseen.static-of-optimum:.3f:interval` of the judge's optimum, planning
# {res}`08_the_published_results/mo1.nominal.unseen.planned-of-optimum:.3f:interval` and the published actions
# {res}`08_the_published_results/mo1.nominal.unseen.published-of-optimum:.3f:interval`. On its own simulator the published policy
# was at {res}`08_the_published_results/fraction.13:.3f`.
#
# ### The winner's curse
#
# That optimum is a maximum over 1296 noisy predictions: a lucky error wins. The forests on three quarters of the data promise their own
# picks {res}`08_the_published_results/mo1.nominal.unseen.curse:.2f:interval` more (MO1) and
# {res}`08_the_published_results/mo2.nominal.unseen.curse:.2f:interval` more (MO2) than the fourth quarter grants. The true optimum is
# somewhere between
# `oracle` and `optimum`. Against the cross-fitted oracle the static setting is at
# {res}`08_the_published_results/mo1.nominal.unseen.static-of-oracle:.3f:interval` (MO1) and
# {res}`08_the_published_results/mo2.nominal.unseen.static-of-oracle:.3f:interval` (MO2). Above one is no contradiction: even three
# quarters of the
# trace are too few to pick one of 1296 settings anew at every load.
#
# ### How easily a trace misleads
#
# Our first run of this table showed planning ahead at unseen loads, with the measured credit. The reason was not the load. The trace walks
# through the loads of every visit in the same order, and in the first window, always at the same load, the mesh carried
# {res}`08_the_published_results/carried.first:.1f`: more than it ever did later. A forest takes that for an effect of the load. We
# leave out first windows and windows in which the load moves. With them, and with the smallest leaf that the same rule then picks:

# %%
everything = published_windows(settled=False)
leaf, _ = best_leaf(everything)
unsettled = cross_fit(everything, patterns, max(splits // 3, 1), trees, leaf, seed)
part = unsettled.judged["MO1", "measured", "unseen"]
e = bootstrap(part["planned"] - part["static"], crossed=True)
results.value(
    "unsettled.gain", e.value, e.low, e.high, n=e.n, unit="req/s", how="crossed bootstrap over halves x loads"
)
results.value("unsettled.leaf", leaf, unit="windows")

# %% [markdown]
# The leaf is {res}`08_the_published_results/unsettled.leaf`, and the gain of planning over the best static setting is
# {res}`08_the_published_results/unsettled.gain:.2f:interval`, against
# {res}`08_the_published_results/mo1.measured.unseen.gain:.2f:interval` without
# those windows. An interval protects against noise, not against the order in which the data were collected.
#
# ## The comparison with Kubernetes' autoscaler
#
# The second scenario has one compute service. Its workers $c$ cost, its mean response time $d$ must keep $.4$ s of distance to one second:
# $r=6-c$ if $d+.4\le 1$, else $r=1-(d+.4)$, with $d$ rounded to milliseconds. Three runs were published: the learned policy, Kubernetes'
# horizontal autoscaler (HPA) at 80 % processor use, and no control at all.

# %%
how = "circular block bootstrap, blocks of 50 steps"
runs = tnsm.autoscaling_runs()
draws = {name: tnsm.block_means(run.reward[:, None], seed + i)[:, 0] for i, (name, run) in enumerate(runs.items())}
found = {name: run.summary() for name, run in runs.items()}
for name, run in runs.items():
    e = tnsm.estimate(found[name]["reward"], draws[name], len(run.reward) // 50)
    results.value(f"hpa.{name}", e.value, e.low, e.high, n=e.n, unit="per step", how=how)
    results.value(f"hpa.{name}.late", found[name]["late"])
results.table("hpa", ["run", "steps", *found["rl"]], [[n, len(runs[n].d), *f.values()] for n, f in found.items()])

# %%
change = found["rl"]["reward"] - found["hpa"]["reward"]
e = tnsm.estimate(change, draws["rl"] - draws["hpa"], len(runs["rl"].d) // 50)
results.value("hpa.gap", e.value, e.low, e.high, n=e.n, unit="per step", how=f"unpaired runs: {how}, in each by itself")
results.value("hpa.rule", np.mean(runs["rl"].workers == runs["rl"].load / 4))
results.value("hpa.saved", 1 - found["rl"]["workers"] / found["hpa"]["workers"])
empty = runs["none"].d == 0
results.value("hpa.empty", int(empty.sum()), unit="windows")
results.value("hpa.none-counted", runs["none"].reward[~empty].mean(), unit="per step")

# %%
for other in ("hpa", "none"):
    ours, theirs = tnsm.same_loads(runs["rl"], runs[other])
    gap = runs["rl"].reward[ours] - runs[other].reward[theirs]
    e = tnsm.estimate(gap.mean(), tnsm.block_means(gap[:, None], seed)[:, 0], len(gap) // 50)
    results.value(
        f"hpa.over-{other}", e.value, e.low, e.high, n=e.n, unit="per step", how=f"paired by load level: {how}"
    )
    results.value(f"hpa.matched-{other}", len(gap), unit="steps")

# %% mystnb={"image": {"alt": "Offered load, workers and response time over the first 300 steps of the three published runs. The load levels are the same at first; later the autoscaler's run a few steps ahead. The learned policy's workers follow the load exactly, the autoscaler's lag and overshoot, and without control the response time grows to many seconds."}}
figure, panels = plt.subplots(3, 1, figsize=(7, 5.4), layout="constrained", sharex=True)
for name, run in runs.items():
    for axes, series in zip(panels, (run.load, run.workers, np.maximum(run.d, 0.01)), strict=True):
        axes.plot(series[:300], label=name, linewidth=1)
panels[0].set_ylabel("load level (req/s)")
panels[1].set_ylabel("workers")
panels[2].set(ylabel="mean response time (s)", xlabel="step (control cycle)", yscale="log")
panels[2].axhline(0.6, color="black", linewidth=0.8)
panels[0].legend(ncols=3)
plots.provenance_line(figure, results.record)

# %% [markdown]
# ```{restable} 08_the_published_results/hpa
# :format: .3f
# ```
#
# **What figure and table say.** Recomputed from the files, the learned policy gets
# {res}`08_the_published_results/hpa.rl:.3f:interval`, HPA {res}`08_the_published_results/hpa.hpa:.3f:interval` and no control
# {res}`08_the_published_results/hpa.none:.3f:interval`; the bound is missed in {res}`08_the_published_results/hpa.rl.late:.1%`,
# {res}`08_the_published_results/hpa.hpa.late:.1%` and {res}`08_the_published_results/hpa.none.late:.1%` of the steps. The learned
# policy is ahead of HPA by {res}`08_the_published_results/hpa.gap:.2f:interval` and uses
# {res}`08_the_published_results/hpa.saved:.0%` fewer workers. This difference is **unpaired**: the runs have different lengths and
# so different mean loads. Its interval covers the luck of the steps within each run, not that of another day.
#
# The figure shows more: the three runs follow **one pattern** of load levels. The learned policy and no control share all
# {res}`08_the_published_results/hpa.matched-none` of the shorter run; the file of HPA lacks a few steps at low load and runs ahead
# from there on; {res}`08_the_published_results/hpa.matched-hpa` of it can be laid beside those of the policy. Paired in this way by
# the level (the requests themselves were drawn anew), the learned policy is ahead of HPA by
# {res}`08_the_published_results/hpa.over-hpa:.2f:interval` and of no control by
# {res}`08_the_published_results/hpa.over-none:.2f:interval`: the loads do not explain the difference.
#
# Three remarks. First, the learned policy is one line: in {res}`08_the_published_results/hpa.rule:.0%` of its steps it runs exactly
# one worker per four requests per second. A reactive rule that sees the load level does the same; HPA sees processor use with a delay, and its
# target of 80 % is one of many. The result is about *what is observed* at least as much as about learning. Second, the autoscaler's
# weights stayed at 80 % for node 1, while the policy also chose them. Third, in {res}`08_the_published_results/hpa.empty` of the run
# without control nothing completed at all; the file writes a response time of zero, and the reward formula pays it as the best possible window. Without
# these windows no control gets {res}`08_the_published_results/hpa.none-counted:.3f`.

# %%
results.claim(
    "tnsm2024-near-optimal-seen", "samani2024framework", "At the loads of its training the learned policy is near the optimum (simulator).",
    ".975 of the optimum, by the published files", "reproduced",
    "Recomputed from the published steps and optima of figure 12; both credit the nominal load, not what the trace carried.",
    measured="fraction.12")  # fmt: skip
results.claim(
    "tnsm2024-near-optimal-unseen", "samani2024framework", "It stays near the optimum along a sinusoidal load that it has not seen (simulator).",
    ".946 of the optimum, by the published files", "reproduced",
    "Recomputed from figure 13. On cross-fitted halves one constant setting comes as near to its judge's optimum, so the number does not "
    "show that the policy adapts to the load.", measured="fraction.13")  # fmt: skip

# %%
results.claim(
    "tnsm2024-near-optimal-testbed",
    "samani2024framework",
    "What was learned on the simulator is near the optimum on the testbed, at a load that it has not seen (MO2).",
    ".717 of the simulator's optimum, by the published files of figure 16",
    "not testable here",
    "The ratio is recomputed exactly, and it is not near one; but the listed optimum is the simulator's, many testbed "
    "steps exceed it, and the testbed's own optimum is not known.",
    measured="fraction.16",
)

# %%
results.claim(
    "tnsm2024-rl-against-hpa", "samani2024framework", "The learned policy meets the bound with fewer workers than Kubernetes' autoscaler.",
    "4.198 against 2.662 mean reward per step, no control -1.150, by the published files", "reproduced",
    "Recomputed exactly from the published runs: one each, of different lengths, hence unpaired. The learned policy coincides with the "
    "rule of one worker per four requests per second, and HPA was run with one target only.", measured="hpa.gap")  # fmt: skip
_ = results.write()

# %% [markdown]
# ## What we assumed
#
# - A split into halves resamples one trace. The intervals over splits and loads cover the choice of halves, the forests and the loads, not
#   another collection of the trace; they are therefore too narrow for a statement about the testbed.
# - Each configuration was visited once. What belongs to a configuration and what belonged to its hour cannot be told apart.
# - The judge is a forest of the same family as the plan. Errors that both halves share (a smooth function has no sharp bound at
#   $.110$ s) favour both sides alike; the raw windows, two per configuration and load, do not share them, and are noisier.
# - Results with the nominal credit are statements about the published *simulator*; those with the measured credit are about the
#   trace.
#
# ## Exercises
#
# ````{exercise}
# :label: ex-08-1
# Set `min_leaf = 3` below the table of leaves and rerun. Why do `optimum` and `oracle, by itself` rise, while `planned` does not?
# ````
#
# ````{solution} ex-08-1
# :class: dropdown
# A small leaf averages over few windows: predictions vary more from action to action, so there is more luck to be picked. What a forest
# promises for its own picks rises with that luck; what another forest grants for them does not. A large leaf pays for its calm
# with bias: the sharp bound of service 2 is smeared, and all good rewards are predicted lower.
# ````
#
# ````{exercise}
# :label: ex-08-2
# Show on paper that the maximum of $k$ predictions $\hat r_a = r + \epsilon_a$ with independent errors of standard deviation $\sigma$ and
# one true value $r$ overstates it by about $\sigma\sqrt{2\ln k}$. How much is that for $k = 1296$?
# ````
#
# ````{solution-start} ex-08-2
# :class: dropdown
# For every $t > 0$, by Jensen's inequality and because a maximum is below the sum,
# $e^{t\,\mathrm E\max \epsilon} \le \mathrm E\, e^{t \max \epsilon} \le k\, \mathrm E\, e^{t\epsilon} = k\, e^{t^2\sigma^2/2}$.
# So $\mathrm E\max\epsilon \le \ln k / t + t\sigma^2/2$, and with $t = \sqrt{2 \ln k}/\sigma$ this is $\sigma\sqrt{2 \ln k}$: at most
# $3.8\,\sigma$ for $k = 1296$. The bound is approached slowly; the simulation below gives $3.3\,\sigma$. Errors of neighbouring settings
# are correlated in a forest, so that the effective $k$ is smaller; but a better optimiser does not help, it finds more of the curse.
# ````

# %% tags=["solution"]
drawn = np.random.default_rng(0).standard_normal((5000, 1296))
overstated = drawn.max(axis=1).mean()
print(f"{overstated:.2f} standard deviations")
assert 3.2 < overstated < 3.4 < np.sqrt(2 * np.log(1296))

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-08-3
# Write a controller that beats the learned policy's {res}`08_the_published_results/hpa.rl:.2f` in the comparison with HPA,
# given that at each of the three levels it already uses the fewest workers that keep the bound. (What else could be gained?)
# ````
#
# ````{solution} ex-08-3
# :class: dropdown
# Nothing, within this reward: $6-c$ is at its largest when $c$ is at its smallest, the bound is never missed, and response times below the
# bound are not rewarded. Scenario and reward leave room for one answer, which is why a rule of one line finds it.
# ````
#
# ````{exercise}
# :label: ex-08-4
# **Warm-up.** A forest promises 10.2 for its best setting; another forest, from the other half of the data, grants it 9.1. What is the winner's curse, and
# which of the two numbers would you tell your manager?
# ````
#
# ````{solution} ex-08-4
# :class: dropdown
# It is $10.2 - 9.1 = 1.1$, and the number to tell is 9.1: it comes from data that did not choose.
# ````
#
# ````{exercise}
# :label: ex-08-5
# **Program.** Let thirty settings have the same value 0 and noise of standard deviation 1. Choose the best on one half of the data and value it on the
# other. What do both halves say, on average?
# ````
#
# ````{solution-start} ex-08-5
# :class: dropdown
# The choosing half says about 2.04, the other about 0.
# ````

# %% tags=["solution"]
first, second = np.random.default_rng(1).standard_normal((2, 4000, 30))
chosen = first.argmax(axis=1)
rows = np.arange(len(chosen))
promised, paid = first[rows, chosen].mean(), second[rows, chosen].mean()
print(f"promised {promised:.2f}, paid {paid:.2f}")
assert promised > 1.9 and abs(paid) < 0.1

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-08-6
# **Open.** Take a paper that you like. Which constant, or rule of one line, is missing from its table?
# ````
#
# ````{solution} ex-08-6
# :class: dropdown
# There is no single answer. Ask what the learned policy does in most of its steps, and write that down as a rule.
# ````
#
# ## Recap
#
# - The published MO1 and MO2 rewards follow from the published response times to the last digit.
# - The simulator credits load that the trace never carried, and the trace's weights p11 and p21 are exchanged.
# - MO1 and MO2 are contextual bandits. A constant setting is the yardstick, and an optimum over noisy predictions must be cross-fitted.
# - Near-optimality on the simulator is reproduced; on the testbed the same files show far less. The learned
#   policy is ahead of HPA, unpaired and paired by load level, and it is the rule $c=l/4$.
#
# ## Further reading
#
# Samani and Stadler {cite}`samani2022dynamically,samani2024framework` for the framework and the scenarios, and their repositories for the
# files that made this chapter possible; Breiman {cite}`breiman2001forests` for forests.
