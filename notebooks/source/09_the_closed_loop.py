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
# # The closed loop
#
# **After this chapter you can**
#
# - build a controller that notices by itself that the system has changed, relearns its model while it acts, and plans anew every cycle;
# - set a change detector by a rule, and say how long it takes to notice a change of a given size;
# - compare adaptive controllers on one clock that starts at the change and never stops;
# - run the same loop on the live mesh, or on a trace of your own system, from the command line.
#
# **You need** the chapters {doc}`05_the_service_changes` and {doc}`06_which_rollout`. The quick profile runs in about a minute; the
# full one in about a quarter of an hour on two cores.
#
# ## The question
#
# So far somebody told us that the system had changed, measured every setting of the new one, and only then asked for a policy. In
# the field nobody does. The controller sees one window per cycle, at the one setting where it stands, and what it learns there
# depends on where it goes. A controller that only exploits may never see that the system got better elsewhere; one that explores
# pays for it. What is left of rollout's gain when detection, learning and acting share one clock?

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
seed: int = 0  # of refits and disturbances
refits: int = 10  # bootstrap resamples of the model from before the change
seeds: int = 8  # runs with each of them
s3_refits: int = 4  # the same for the scenario in which the load moves
s3_seeds: int = 4
cycles: int = 150  # control cycles judged, from the change on
quiet: int = 10_000  # quiet cycles behind the detectors' settings, and behind their check
repeats: int = 100  # changes of each size in the study of delays

# %%
import matplotlib.pyplot as plt
import numpy as np

from netrollout import plots
from netrollout.adapt import run
from netrollout.catalog.closed_loop import controller, make_loop, simulated
from netrollout.catalog.closed_loop_study import QUIET, calibrated, compare, fractions
from netrollout.evaluate import bootstrap
from netrollout.models.drift import delay_study, informative
from netrollout.results import Results
from netrollout.traces import trace_files

# %%
plots.use_style()
asked = dict(seed=seed, refits=refits, seeds=seeds, s3_refits=s3_refits, s3_seeds=s3_seeds, cycles=cycles, quiet=quiet,
             repeats=repeats)  # fmt: skip
files = trace_files("mesh/s2_before", "mesh/s2_after", "mesh/s3")
results = Results("09_the_closed_loop", profile, asked, data=files)


def record(name, e, unit, how, digits=2):
    results.value(name, e.value, e.low, e.high, n=e.n, unit=unit, how=how)
    return f"{e.value:.{digits}f} ({e.low:.{digits}f} to {e.high:.{digits}f})"


# %% [markdown]
# ## One cycle
#
# In cycle $t$ the controller stands at setting $s_t$ and measures the window's mean response time $d_t$. It
#
# 1. standardises the surprise, $z_t = (\log d_t - m(s_t)) / \sigma(s_t)$, with the mean and deviation that its model had before it looked;
# 2. tests the $z$'s for a change, with ADWIN {cite}`bifet2007adwin` or the Page-Hinkley test {cite}`page1954continuous`;
# 3. relearns: the new model is the old distribution, shifted at every setting by what the surprises of the newest windows say, there and
#    nearby (a Gaussian process over the grid; after an alarm it forgets what came before);
# 4. tabulates the model, evaluates the base policy on it, rolls out, and acts.
#
# On raw seconds the tests miss a change or lag by dozens of cycles, because a window at a busy setting varies more than the change
# at a calm one. Standardising by setting removes that.
#
# ## How soon is a change noticed?
#
# Rule: both detectors are made as sensitive as one false alarm per 1,000 cycles allows on quiet plants drawn from the model, and are
# checked on the scenario's own quiet plant, which had no part in it.

# %%
found = calibrated("S2", quiet, seed)
results.table("detectors", ["detector", "setting", "false alarms per 1,000 cycles: calibration", "check"],
              [[c.detector, c.setting, f"{c.calibrated:.2f}", f"{c.checked:.2f}"] for c in found])  # fmt: skip
for c in found:
    results.value(f"false-alarms.{c.detector}", c.checked, unit="per 1,000 cycles")

# %%
loop = make_loop("S2", seed)
order = informative(loop.before.response, loop.after.response)
points = {"informative": int(order[0]), "middling": int(order[len(order) // 2]), "uninformative": int(order[-1])}
where = {point: name for name, point in points.items()}
sizes = (0.25, 0.5, 1.0)  # shares of the full change
delays = delay_study(loop.before.response, loop.after.response, list(points.values()), sizes, quiet, repeats)
results.table("delays", ["detector", "configuration", "share of the change", "shift, deviations", "median delay", "noticed"],
              [[d.detector, where[d.grid], d.size, f"{d.shift:.2f}", d.median, f"{d.detected:.0%}"] for d in delays])  # fmt: skip

# %% [markdown]
# ```{restable} 09_the_closed_loop/detectors
# ```
#
# ```{restable} 09_the_closed_loop/delays
# ```
#
# Where the controller stands decides what it can notice: at the configuration that tells most, the full change shows within a few cycles; at the
# one that tells least it takes several times as long, and a small change may not be noticed in time at all, since hardly anything happened there
# that one could see.
#
# ## One run to look at

# %%
brain, plant = controller(loop, "rollout", "none", seed, QUIET), simulated(loop, QUIET, seed)
records = run(plant, brain, QUIET + 100)
alarms = [r.cycle for r in records if r.alarm]
results.value("one-run.alarms", len(alarms), unit="alarms")

# %% mystnb={"image": {"alt": "One run of the closed loop in S2: measured response time with its bound, and reward, per control cycle; the change after fifty cycles and the alarms are marked."}}
figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 4.4), layout="constrained", sharex=True)
top.plot([1e3 * float(r.window.d[0]) for r in records])
top.axhline(1e3 * loop.after.objective.bounds[0], color="black", linewidth=0.8)
top.set(ylabel="response time, ms (line: bound)", yscale="log")
bottom.plot([r.reward for r in records])
bottom.set(xlabel="control cycle (dotted: change, thin: alarm)", ylabel="reward")
for axes in (top, bottom):
    axes.axvline(QUIET, color="C3", linestyle=":")
    for alarm in alarms:
        axes.axvline(alarm, color="C2", linewidth=0.8)
plots.provenance_line(figure, results.record)

# %% [markdown]
# ## Everybody on one clock
#
# All runs begin where the old optimal policy rests, are quiet for fifty cycles, and are then judged for `cycles` cycles from the change on,
# with the expected reward of the configuration in force. A row's *fraction* is its gain over the unadapted base as a share of what
# exact planning on the true new model gains. *Recovered* is when the reward has come back to stay; whoever never does is counted
# with all cycles.

# %%
runs = compare("S2", refits, seeds, cycles, seed)
how = f"hierarchical bootstrap over {refits} model refits x {seeds} runs of {cycles} cycles"
named = {row: row[0] if row[1] == "none" else f"{row[0]}, {row[1]}" for row in runs}
lines = []
for row, share in fractions(runs).items():
    key = "s2." + named[row].replace(", ", "-")
    back = record(f"{key}.recovery", bootstrap(runs[row].recovery), "cycles", how, 0)
    median = f"{np.median(runs[row].recovery):.0f}"
    lines.append([named[row], record(key, share, "share", how), back, median, f"{runs[row].late.mean():.0%}"])
results.table("s2", ["controller", "fraction of the possible gain", "cycles to recover", "median", "windows over the bound"],
              lines)  # fmt: skip

# %%
rolled = runs["rollout", "none"]
record("s2.false-alarms", bootstrap(1000.0 * rolled.false_alarms / QUIET), "per 1,000 cycles", how)
middle = bootstrap(rolled.delay, statistic=lambda drawn: np.median(drawn, axis=1))
record("s2.delay", middle, "cycles", "median; " + how)
record("s2.rollout-minus-walk", bootstrap(rolled.total - runs["walk", "none"].total), "reward", how)
results.value("computing", 1e3 * float(np.median(rolled.computing)), unit="ms", live=True)

# %% [markdown]
# ```{restable} 09_the_closed_loop/s2
# ```
#
# `static` and `base` are yesterday's setting and policy; `static-new` is told the new system's best setting; `walk`, `dp` and `rollout` relearn,
# then walk to the best setting of the relearned model, plan exactly on it, or roll out (one step before the better of the old base and the
# walk); `rollout-1` rolls out from the old base alone; `rollout-true` is told the true model at the change and `optimum` is exact planning on it.
# `retrain` is exact planning that comes four cycles late, the time of a training. After a comma stands how a row explores.
#
# The relearned rollout keeps {res}`09_the_closed_loop/s2.rollout:.2f:interval` of the possible gain and is back after
# {res}`09_the_closed_loop/s2.rollout.recovery:.0f:interval` cycles on average; it notices the change after
# {res}`09_the_closed_loop/s2.delay:.0f:interval` cycles (median), with {res}`09_the_closed_loop/s2.false-alarms:.1f:interval` false alarms per 1,000
# quiet cycles. Against the walk to the best setting of the same relearned model it is {res}`09_the_closed_loop/s2.rollout-minus-walk:.1f:interval` ahead
# (negative: behind) over all cycles. From the old base alone the fraction is {res}`09_the_closed_loop/s2.rollout-1:.2f:interval`: one step of improvement gets stuck between
# yesterday's setting and tomorrow's, as in {doc}`05_the_service_changes`. The threshold rule of Kubernetes keeps {res}`09_the_closed_loop/s2.hpa:.2f:interval`.

# %% mystnb={"image": {"alt": "Horizontal bars with intervals: the share of the possible gain that each controller keeps on S2, from the unadapted base at zero to exact planning on the true model at one."}}
figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
shares = {named[row]: share for row, share in fractions(runs).items() if row[0] != "none"}
plots.interval_bars(axes, list(shares), *zip(*((e.value, e.low, e.high) for e in shares.values()), strict=True))
axes.set_xlabel("share of the possible gain (S2)")
plots.provenance_line(figure, results.record)

# %% [markdown]
# ## The load moves instead
#
# In S3 the load begins to move to levels that the model has never been asked about. The same controllers, fewer runs:

# %%
rows3 = [(policy, "none") for policy in ("static", "hpa", "retrain", "walk", "dp", "rollout")]
runs3 = compare("S3", s3_refits, s3_seeds, cycles, seed, rows3)
how3 = f"hierarchical bootstrap over {s3_refits} model refits x {s3_seeds} runs of {cycles} cycles"
results.table("s3", ["controller", "fraction of the possible gain", "windows over the bound"],
              [[row[0], record(f"s3.{row[0]}", share, "share", how3), f"{runs3[row].late.mean():.0%}"]
               for row, share in fractions(runs3).items()])  # fmt: skip
why = "a campaign on the live mesh needs an hour and a half of a quiet machine; `netrollout adapt --plant testbed` runs it"
results.not_run("live", why)
_ = results.write()

# %% [markdown]
# ```{restable} 09_the_closed_loop/s3
# ```
#
# ## On the live mesh, and on your own system
#
# The loop is a command. On Linux, with the extra `testbed`,
#
# ```
# netrollout adapt --plant testbed --scenario S2 --cycles 150 --change-at 50 --log run.jsonl
# ```
#
# starts Envoy, two nodes and a load generator, changes the service under the controller's feet, shows every cycle, and writes it to the log; Ctrl-C stops it
# cleanly, and `--resume` goes on without a gap. Scenarios `S2-slow` and `S2-kill` slow a node down and kill its process. A campaign of paired live
# runs was not made for this edition, so no live number stands here.
#
# For a system of your own, describe controls, loads, metrics, bounds and objective in a YAML file and give it a trace:
#
# ```
# netrollout adapt --spec SPEC.yml --trace TRACE.csv --at p=0.8,c=3 --report report.md
# ```
#
# prints the next action with its reasons: the Q-factors of all actions with their standard errors, and the predicted metrics. `netrollout export istio`
# turns a configuration into an Istio VirtualService and a Deployment patch.
#
# ## What we assumed
#
# - The simulated plant has one held-out visit of each configuration, and nothing carries over between cycles.
# - The settings of the loop (windows kept, forgetting, width of the Gaussian process) were compared on worlds redrawn from the model's side. Their
#   author also saw fractions on this plant while building it, so a fresh trace would be the cleaner test.
# - Retraining is charged four cycles and gets the exact optimum: generous to retraining.
# - The loop is not run on S4 in this edition.
#
# ## Exercises
#
# **1.** Compare `rollout` with its three ways of exploring. Which pays, and where would exploration be indispensable?
#
# ```{admonition} Solution
# :class: dropdown
# Optimism visits what the model is unsure of *and* what would be good if it were true, so few of its visits are wasted; a random step (epsilon) or a
# drawn model (Thompson) pays for many that are. Without any, the controller still sees the change where it stands, and the model carries it over
# to the neighbours. Exploration is indispensable where the change is invisible from the present setting: at the last rows of the table of delays.
# ```
#
# **2.** A detector with twice the false alarms notices changes earlier. What does a false alarm cost here?
#
# ```{admonition} Solution
# :class: dropdown
# The model forgets: it keeps the old distribution as its prior but drops what it had learned since, and for some cycles plans with wider doubts. On a quiet system
# the price is a few cycles near a good setting.
# ```
#
# **3.** Which row of the table would you put in production, and what would you want to measure before?
#
# ```{admonition} Solution
# :class: dropdown
# On a set-point search the walk to the best setting of the relearned model: it does about as well as rollout and is simpler to explain. Before: how often the load
# moves (S3), and whether backlog carries over (S4), where walking to one setting is not enough.
# ```
#
# ## Recap
#
# - Detect on standardised surprises; calibrate by a rule; know what your present setting can tell.
# - Most of the possible gain survives when detection and learning share the clock with acting.
# - From a poor base one step of rollout sticks; give it a second base, the walk.
# - The computing of a cycle is milliseconds; the cycles in which one learns are what it costs.
#
# ## Further reading
#
# Bertsekas {cite}`bertsekas2021rollout` on adaptive control by rollout; Samani, Hammar and Stadler {cite}`samani2024online` for the loop that the papers draw.
