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
# # The size of the change
#
# **After this chapter you can**
#
# - read the figure of this book: what doing nothing, a step of rollout, several steps, a static setting and planning anew are worth, by the size of the change;
# - say for which changes it pays to replan at all, and for which one step of rollout is not enough;
# - put the price of each beside its worth: the windows to be measured and the computing.
#
# **You need** the chapters {doc}`05_the_service_changes` and {doc}`06_which_rollout`. The quick profile runs in less than a minute, the full one in
# about a quarter of an hour on two cores.
#
# ## The question
#
# A change comes in sizes, and the chapters before looked at one or two of them. How large must a change be before an old policy is worth repairing? Until which
# size is one step of rollout as good as planning anew? Both questions have curves for an answer {cite}`bertsekas2021rollout`.

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
seed: int = 0  # of the first run of S5
sizes: list = [1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0]  # factors on every request's CPU demand
measurements: int = 12  # of S2, each with a model of its own
day_sizes: list = [1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0]  # the same on S5
runs: int = 12  # of S5, for each size and policy

# %%
import matplotlib.pyplot as plt

from netrollout import experiment, plots
from netrollout.evaluate import t_interval
from netrollout.results import Results
from netrollout.studies.change_size import STATIC, costs, day_rewards, released

plots.use_style()
asked = dict(seed=seed, sizes=sizes, measurements=measurements, day_sizes=day_sizes, runs=runs)
results = Results("14_the_size_of_the_change", profile, asked)

# %% [markdown]
# ## Two systems, any change
#
# A change of any size is easily made in the testbed's simulator, whose windows have the mean and the spread of those of the live mesh. **S2** is the mesh of
# the release ({doc}`05_the_service_changes`): thirty settings, a constant load, a reward that pays for workers saved while the bound on the mean response time
# holds. The plant is four hundred simulated windows of each setting; a model is learned, before and after the change, from nine visits of six windows,
# anew for each *measurement*. Values are exact. **S5** is the working day: load with a
# morning and an evening, bursts, workers that start slowly, a backlog that carries over. A size is the factor on the CPU demand of every request.

# %%
s2 = experiment.run(released(sizes, measurements), STATIC, experiment.exactly())
found = {label: [t_interval(s2.at(size)["start", label]) for size in sizes] for label in STATIC}
rows = [
    [size, *(f"{e[k].value:.1f} ({e[k].low:.1f} to {e[k].high:.1f})" for e in found.values())]
    for k, size in enumerate(sizes)
]
results.table("s2", ["size of the change", *found], rows)

# %%
days = day_rewards(day_sizes, range(seed, seed + runs))
day = {label: [t_interval(of[k, :, :1]) for k in range(len(day_sizes))] for label, of in days.items()}
rows = [
    [size, *(f"{e[k].value:.3f} ({e[k].low:.3f} to {e[k].high:.3f})" for e in day.values())]
    for k, size in enumerate(day_sizes)
]
results.table("s5", ["size of the change", *day], rows)

# %% mystnb={"image": {"alt": "Performance against the size of the change. On S2 doing nothing falls far below zero as the change grows, one step of rollout stays near twenty, and replanning, several steps and the best static coincide above both. On S5 doing nothing falls fastest; rollout, the relearned rule and the static stay above it."}}
figure, panels = plt.subplots(1, 2, figsize=(9.5, 4), layout="constrained")
for axes, at, of in ((panels[0], sizes, found), (panels[1], day_sizes, day)):
    for k, (label, ends) in enumerate((label, ends) for label, ends in of.items() if label != "oracle"):
        mark = dict(marker="osDv^x"[k % 6], markersize=4)
        line = axes.plot(at, [e.value for e in ends], label=label, **mark)[0]
        axes.fill_between(at, [e.low for e in ends], [e.high for e in ends], color=line.get_color(), alpha=0.2)
    axes.set_xlabel("size of the change (factor on the demand)")
    axes.legend(fontsize=7)
panels[0].set(title="S2, the mesh of the release", ylabel="value at the start, exact")
panels[1].set(title="S5, the working day", ylabel="reward per cycle after the change")
plots.provenance_line(figure, results.record)


# %%
def compared(system, at, values, pairs):
    """Record paired differences at every size, and from which size on the whole interval lies above zero."""
    for key, (one, other) in pairs.items():
        ends = [t_interval(values(one, k) - values(other, k)) for k in range(len(at))]
        for size, e in zip(at, ends, strict=True):
            results.value(
                f"{system}.{key}.{size:g}", e.value, e.low, e.high, n=e.n, how=f"paired t interval over {e.n}"
            )
        results.value(f"{system}.{key}.last", ends[-1].value, ends[-1].low, ends[-1].high, n=ends[-1].n)
        above = [e.low > 1e-9 for e in ends]
        first = next((size for k, size in enumerate(at) if all(above[k:])), None)
        results.value(f"{system}.{key}.first", first, how="smallest size from which on the interval lies above zero")


# %%
nothing, step, anew = "no replanning", "one step of rollout", "full replanning"
static, rule = "best static of the model", "staffing rule, relearned"
pairs2 = {"gain": (step, nothing), "rest": (anew, step), "anew": (anew, nothing), "static": (anew, static)}
compared("s2", sizes, lambda label, k: s2.at(sizes[k])["start", label], pairs2)
pairs5 = {"gain": (step, nothing), "static": (step, static), "rule": (step, rule)}
compared("s5", day_sizes, lambda label, k: days[label][k, :, :1], pairs5)
results.value("s2.largest", sizes[-1])
results.value("s5.largest", day_sizes[-1])
results.value("comparisons", len(pairs2) * len(sizes) + len(pairs5) * len(day_sizes))
results.value("by-chance", 0.025 * results.record["values"]["comparisons"]["value"])

# %%
for system, what in {"s2": "", "s5": " per cycle"}.items():
    results.finding(f"{system}.gain", {
        f"{system}.gain.first > 0": f"From a change by {{{system}.gain.first}} on, one step of rollout gains on doing nothing; at {{{system}.largest}} it gains {{{system}.gain.last:.3g:interval}}{what}."},
        otherwise=f"There is no size from which on these runs show that a step of rollout gains on doing nothing; at {{{system}.largest}} the difference is {{{system}.gain.last:.3g:interval}}{what}.")  # fmt: skip
results.finding("s2.rest", {
    "s2.rest.first > 0": "From {s2.rest.first} on one step is not enough: planning anew gains on it, at {s2.largest} by {s2.rest.last:.3g:interval}."},
    otherwise="There is no size from which on planning anew is shown to gain on one step; at {s2.largest} the difference is {s2.rest.last:.3g:interval}.")  # fmt: skip
results.finding("s2.static", {
    "s2.static.last within 0.5": "Planning anew and walking to the new model's best static setting are worth the same at {s2.largest} (difference {s2.static.last:.2f:interval}): S2 is a set-point problem at every size."},
    otherwise="At {s2.largest} planning anew minus the walk to the new model's best static setting is {s2.static.last:.3g:interval}.")  # fmt: skip

# %%
results.finding("s5.static", {
    "s5.static.first > 0": "From {s5.static.first} on rollout gains on the best static setting of the relearned model, at {s5.largest} {s5.static.last:.3g:interval} per cycle."},
    otherwise="At the largest change, {s5.largest}, rollout minus the best static setting of the relearned model is {s5.static.last:.3g:interval} per cycle: not shown to be ahead from some size on.")  # fmt: skip
results.finding("s5.rule", {
    "s5.rule.first > 0": "From {s5.rule.first} on it also gains on the relearned staffing rule that it begins with.",
    "s5.rule.last within 0.03": "It is level with the relearned staffing rule that it begins with, at {s5.largest} within {s5.rule.last:.3g:interval} per cycle."},
    otherwise="Against the relearned staffing rule that it begins with nothing is decided: at {s5.largest} the difference is {s5.rule.last:.3g:interval} per cycle.")  # fmt: skip
# %%
took = {label: float(of[..., 1].mean()) for label, of in days.items()}
lines = [["S2", label, cost.measuring, 1e3 * cost.computing] for label, cost in costs(max(sizes)).items()]
lines += [["S5", label, 0.0, 1e3 * seconds] for label, seconds in took.items()]
results.table(
    "costs", ["system", "method", "measuring before it acts, s", "computing, ms (S5: per cycle)"], lines, live=True
)
_ = results.write()

# %% [markdown]
# **What the figure says.** Lines are means over measurements (S2) or runs (S5), bands their 95 % t intervals.
#
# On S2: {finding}`14_the_size_of_the_change/s2.gain` {finding}`14_the_size_of_the_change/s2.rest` {finding}`14_the_size_of_the_change/s2.static`
# Three steps of lookahead are where planning anew is: depth repairs the poor base.
#
# On S5: {finding}`14_the_size_of_the_change/s5.gain` {finding}`14_the_size_of_the_change/s5.static` {finding}`14_the_size_of_the_change/s5.rule`
# Its states cannot be listed, so that planning anew exactly is out of reach there; that is where rollout is needed.
#
# Of {res}`14_the_size_of_the_change/comparisons` differences about {res}`14_the_size_of_the_change/by-chance:.1f` would lie above zero by chance alone.
#
# ```{restable} 14_the_size_of_the_change/s2
# :caption: S2: value at the start, exact on the simulated plant
# ```
#
# ```{restable} 14_the_size_of_the_change/s5
# :caption: S5: reward per cycle on the two days after the change
# ```
#
# ## What it costs
#
# ```{restable} 14_the_size_of_the_change/costs
# ```
#
# Whoever replans on S2 measures every setting first, which takes more than an hour of windows; the computing is less than a second, whichever method. On S5 the demand
# is learned while acting, so nothing is measured beforehand, and computing is counted per cycle of five seconds.
#
# ## What we assumed
#
# - The change is a factor on the demand. A change of another kind (a node that slows down, a load that moves) has other curves.
# - The simulator is the testbed's, event by event, with one constant chosen; the live mesh has moods that it has not.
# - On S2 a model is learned from a whole measurement; on S5 the controller knows the day and learns the demand only.
#
# ## Exercises
#
# **1.** Why does full replanning fall below doing nothing for a small change, if only a little?
#
# ```{admonition} Solution
# :class: dropdown
# The old policy was planned on a model of its own, from as many windows. Where little has changed both are plans on noisy models, and the new plan picks the
# luckiest of settings that lie near the bound. Replanning brings the winner's curse once more, without much to win.
# ```
#
# **2.** At which size would you stop to call one step of rollout a repair? Read the curve, then say what you would look at besides.
#
# ```{admonition} Solution
# :class: dropdown
# Where the gap to planning anew exceeds what you would pay for the windows and for a table of all states. Look at the base: one step is bounded by what its base
# does afterwards, so with a better base (the walk, a rule) the curve of one step moves up to that of planning anew.
# ```
#
# ## Recap
#
# - {finding}`14_the_size_of_the_change/s2.gain`
# - {finding}`14_the_size_of_the_change/s2.rest`
# - {finding}`14_the_size_of_the_change/s5.gain`
# - What replanning costs is measuring, not computing.
#
# ## Further reading
#
# Bertsekas {cite}`bertsekas2021rollout` on rollout as on-line replanning: one Newton step in place of solving anew.
