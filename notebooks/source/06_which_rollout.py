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
# # Which rollout?
#
# **After this chapter you can**
#
# - choose between one-step and deeper lookahead, exact, truncated and multi-agent rollout, and say what each costs per decision;
# - read rollout as a step of Newton's method, and see in one picture when such a step is large;
# - run a rollout by simulation on a system whose states cannot be listed, and bound how much better anyone could do;
# - control thirty-two components at once, where the joint actions outnumber the atoms that you would need to list them.
#
# **You need** the chapters {doc}`03_markov_decision_process` and {doc}`05_the_service_changes`. The quick profile runs in about
# a minute; the full one, with half a million training steps per network, in well under an hour on two cores.
#
# ## The question
#
# The last chapter ended with a sober line: on a set-point search one walks to the best setting, and planning has little to
# add. So where does rollout earn its keep, and *which* rollout? We ask on three systems. S1 has two services, four controls and
# 81 joint actions, few enough to plan exactly. S4 has queues that carry over, workers that take three cycles to start, and a
# day with bursts: no setting is right all day. And a fleet of up to 32 queues has more joint actions than one can list.

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
seed: int = 0  # of refits, trainings and simulated paths
refits: int = 3  # bootstrap refits of S1's model, and logs from which S4's models are learned
training_seeds: int = 5  # PPO bases of S1
steps: int = 12_288  # environment steps of each of them
lookaheads: list = [1, 2, 3]  # steps of lookahead on S1
episodes: int = 24  # paired episodes on S4
cycles: int = 192  # control cycles of each; a day has 96
daily_steps: int = 500_000  # environment steps of each PPO on S4, before the change and again after it
components: list = [2, 4, 8, 16, 32]  # queues of the fleet
decisions: int = 50  # decisions timed for each fleet

# %%
import re
import tempfile
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from netrollout import experiment, make, plots
from netrollout.catalog import world
from netrollout.dp import MDP, LinearQuadratic, along_line, evaluate_policy, policy_iteration

# %%
from netrollout.evaluate import bootstrap, simulate
from netrollout.policies import random_table
from netrollout.results import Results
from netrollout.studies.networks import networks
from netrollout.studies.which_rollout import bound, exact_rollouts, fleet, fleet_rows
from netrollout.systems.mesh.policies import greedy_table, reactive_table
from netrollout.systems.queues.policies import Hpa
from netrollout.traces import trace_files

# %%
plots.use_style()
asked = dict(seed=seed, refits=refits, training_seeds=training_seeds, steps=steps, lookaheads=lookaheads,
             episodes=episodes, cycles=cycles, daily_steps=daily_steps, components=components,
             decisions=decisions)  # fmt: skip
results = Results("06_which_rollout", profile, asked, data=trace_files("mesh/s1"))


# %%
def slug(name):
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")


def record(name, values, unit, how):
    e = bootstrap(values, crossed=True)
    results.value(slug(name), e.value, e.low, e.high, n=e.n, unit=unit, how=how)
    return e


# %% [markdown]
# ## Rollout is a Newton step
#
# Bellman's operator $T$ is the largest of many affine maps $T_\mu J = r_\mu + \gamma P_\mu J$, one for each policy. At a value $V$ the
# greedy policy attains the maximum, so its map is a *tangent* of $T$ at $V$, and the value of that policy is where the tangent meets
# $J = TJ$'s diagonal. That is Newton's method, and one-step rollout is its first iterate from $V = J_\mu$
# (Bertsekas {cite}`bertsekas2022lessons`). In the linear-quadratic problem with one state, $x' = ax + bu$ and cost $qx^2 + ru^2$, everything
# is one number: the cost of a policy is $Kx^2$ and $T$ becomes Riccati's function
#
# $$
# F(K) = q + \frac{a^2 r K}{r + b^2 K}.
# $$
#
# The step from $K$ is the true cost of the greedy policy as long as that policy is stable, $F'(K) < 1$. Left of that edge the
# formula still gives a number, and it means nothing: the true cost is infinite.

# %%
problem, grid, start = LinearQuadratic(a=2.0, b=1.0, q=1.0, r=1.0), np.linspace(0.0, 12.0, 400), 9.0
step = problem.newton(start)
formula, true = ([f(k) for k in grid] for f in (problem.newton, lambda k: problem.cost(problem.gain(k))))
for name, value in {"edge": problem.edge(), "optimum": problem.optimum(), "step": step}.items():
    results.value(f"lq.{name}", value, unit="cost")

# %% mystnb={"image": {"alt": "Riccati's function against the diagonal with the Newton step from a value inside the region of stability, and a second panel with the true and the computed cost of the greedy policy on both sides of its edge."}}
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4), layout="constrained")
left.plot(grid, [problem.riccati(k) for k in grid], label="F(K)")
left.plot(grid, grid, color="black", linewidth=0.8, label="diagonal")
left.plot([start, step], [problem.riccati(start), step], "--", label="tangent at K = 9")
left.set(xlabel="K", ylabel="F(K)")
right.plot(grid, formula, label="Newton's formula")
right.plot(grid, true, label="true cost of the greedy policy")
right.axvline(problem.edge(), color="black", linestyle=":", label="edge of stability, F'(K) = 1")
right.set(xlabel="K", ylabel="cost", ylim=(-5, 15))
for axes in (left, right):
    axes.legend(fontsize=7)
plots.provenance_line(figure, results.record)

# %% [markdown]
# From $K = 9$ one step lands at {res}`06_which_rollout/lq.step:.3f`, with the optimum at {res}`06_which_rollout/lq.optimum:.3f`. Right of
# the edge at {res}`06_which_rollout/lq.edge:.1f` the two curves of the second panel are one; left of it they part.
#
# On the mesh the value has a component for each state, and no page has that many dimensions. We walk along a *line* through value space, from
# the value of the random policy to the optimum, and average over states. The tangents leave the line, so the upper curve is not
# constructed from the lower one; it is the value of the greedy policy at each point, computed in full.

# %%
mesh = make("mesh-s1", side="model", seed=seed)
mdp = MDP.from_system(mesh)
base_value, best_value = evaluate_policy(mdp, random_table(mesh)).value, policy_iteration(mdp).value
line = along_line(mdp, base_value, best_value, np.linspace(-0.5, 1.5, 41))
results.value("line.first", float(line.greedy[10] / line.greedy[30]), unit="share")

# %% mystnb={"image": {"alt": "Along a line in value space from the random policy's value to the optimum of S1: the value itself, Bellman's operator, and the value of the greedy policy, which is near the optimum over most of the line."}}
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
axes.plot(line.t, line.value, label="V, the point of the line")
axes.plot(line.t, line.bellman, label="T V")
axes.plot(line.t, line.greedy, label="value of the policy greedy for V")
axes.set(xlabel="place on the line (0: random policy, 1: optimum)", ylabel="mean discounted reward (S1, model)")
axes.legend()
plots.provenance_line(figure, results.record)

# %% [markdown]
# The greedy policy at the random policy's value, which *is* one-step rollout of the random policy, already reaches a
# {res}`06_which_rollout/line.first:.0%` of the optimum on the model, though the value that it looks at is far below.
#
# ## S1: every kind of rollout, exactly
#
# All policies are planned on models learned from two visits of each configuration and judged exactly on the plant, the forest of the
# held-out visits. `l` is the number of steps of lookahead before the base policy takes over; *multi-agent* lets one control after
# the other choose while the rest stays with the base, 4 x 3 comparisons instead of 81; *autonomous* lets all choose at
# once without telling each other; *fortified* takes the deepest multi-agent proposal only where it is not below the base.

# %%
folder = tempfile.TemporaryDirectory()
worlds = [world("mesh-s1", seed=seed, refit=r) for r in range(refits)]
first, pairs = worlds[0].model, [(r, n) for r in range(refits) for n in range(training_seeds)]
ppo = networks([first] * training_seeds, steps, range(seed, seed + training_seeds), folder.name)
limits = {"best static": "walk(static)", "exact on the model": "retrain(optimal)", "oracle": "oracle"}


def s1_rows(refit, n):
    bases = {"random": "random", "greedy": lambda w: greedy_table(w.model), "reactive": lambda w: reactive_table(w.model),
             "ppo": ppo[n]}  # fmt: skip
    kinds = exact_rollouts(bases, lookaheads)
    del kinds["random", "multi-agent, fortified"]  # it needs a base that chooses one action
    return {("none", name): row for name, row in limits.items()} | kinds


# %%
judged = experiment.run(
    {(r, n): partial(replace, worlds[r], base=first) for r, n in pairs}, s1_rows, experiment.exactly(), jobs=-1
)
s1 = {row: judged["mean", row] for row in judged.values}
how = f"crossed bootstrap over {refits} model refits x {training_seeds} PPO bases; exact on the plant"
bases = ["random", "greedy", "reactive", "ppo"]
kinds = list(dict.fromkeys(kind for base, kind in s1 if base != "none"))
cells = {key: record("s1." + ".".join(key), v, "reward", how) for key, v in s1.items()}
shown = lambda e: f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f})" if e else ""  # noqa: E731
results.table("s1", ["base", *kinds], [[base, *(shown(cells.get((base, kind))) for kind in kinds)] for base in bases])
results.table("s1-limits", ["policy", "mean value over states"],
              [[kind, shown(cells["none", kind])] for kind in ("best static", "exact on the model", "oracle")])  # fmt: skip

# %% [markdown]
# ```{restable} 06_which_rollout/s1
# ```
#
# ```{restable} 06_which_rollout/s1-limits
# ```
#
# Read each row from left to right. A good base leaves little to gain: greedy is near the best that the model offers
# already. From the random base one step does most of the work. A second step adds to it, and the third less. The value of
# rollout thus depends on its base far more than on its depth; the paper's ranking of bases is put to the test below.

# %%
gains = {base: record(f"s1.{base}-gain", s1[base, "l = 1"] - s1[base, "base"], "reward", how) for base in bases}
better = all(gain.low >= 0 for gain in gains.values())
joint = record("s1.multiagent-behind", s1["ppo", "l = 1"] - s1["ppo", "multi-agent"], "reward", how)
over = record("s1.ppo-over-random", s1["ppo", "l = 1"] - s1["random", "l = 1"], "reward", how)
held = record("s1.ppo-behind-greedy", s1["greedy", "l = 1"] - s1["ppo", "l = 1"], "reward", how)

# %% [markdown]
# One step gains {res}`06_which_rollout/s1.random-gain:.2f:interval` on the random base, {res}`06_which_rollout/s1.reactive-gain:.2f:interval` on
# the reactive rule, {res}`06_which_rollout/s1.ppo-gain:.2f:interval` on PPO and {res}`06_which_rollout/s1.greedy-gain:.2f:interval` on greedy.
# With one step, rollout of PPO is {res}`06_which_rollout/s1.ppo-over-random:.2f:interval` above rollout of the random policy and
# {res}`06_which_rollout/s1.ppo-behind-greedy:.2f:interval` below rollout of the greedy one. Multi-agent rollout of PPO is
# {res}`06_which_rollout/s1.multiagent-behind:.2f:interval` behind the joint maximisation.
#
# ## S4: a system in which planning ahead matters
#
# Every cycle of 5 s the controller may move the routing weight and the number of workers by one level. It pays for workers, for late
# requests and for each move; a worker serves from the third cycle on; work that is not done waits. The plant draws log-normal
# demands, request by request. The model has the same queues with exponential demands whose means, like the day's pattern, are
# *learned* from a log: four days before the change, one day after it. All numbers of the scenario, the changes, and rollout's own
# settings (four steps of the base policy, sixteen paths, nothing behind) were written down before any rollout was run.
#
# One free number belongs to a baseline: the autoscaler's target utilisation. Rule: the best of five on the model from before the change.

# %%
before = make("mesh-s4", side="model", seed=seed)
trial = {t: simulate(before, Hpa(before, target=t), range(8)).mean_rewards().mean() for t in (0.3, 0.4, 0.5, 0.6, 0.7)}
hpa = f"hpa(target={max(trial, key=trial.get)})"
names = ["random", "static", "walk(static)", "reactive", hpa, "greedy", "ppo", "retrain(ppo)", "optimal", "rollout(random)",
         "rollout(reactive)", f"rollout({hpa})", "rollout(static)", "multiagent(static)",
         "rollout(static, select=safe)", "rollout(static, select=constrained)", "rollout(static, halving=true)",
         "rollout(ppo)", "rollout(ppo, horizon=0, terminal=stale)", "rollout(ppo, horizon=0, terminal=lattice)",
         "retrain(optimal)", "oracle"]  # fmt: skip
changes = ["none", "heavier", "slower", "shifted"]

# %%
s4 = partial(world, "mesh-s4", seed=seed)
after = {change: {} if change == "none" else {"phase": "after", "change": change} for change in changes}
old = networks([s4(refit=r).base for r in range(refits)], daily_steps, range(seed, seed + refits), folder.name)


def s4_rows(change, refit):
    """What `ppo` stands for: a network of its own for each log; retrained, one trained as long on the newest model."""
    new = f"ppo(steps={daily_steps},seed={seed + refit})"
    named = {name: name.replace("ppo", new if name == "retrain(ppo)" else old[refit]) for name in names}
    return {"bound": bound(range(episodes))} | named


# %%
cells = {(c, r): partial(s4, refit=r, horizon=cycles, **after[c]) for c in changes for r in range(refits)}
judged = experiment.run(cells, s4_rows, experiment.episodes(range(episodes)), jobs=-1)
daily = {change: judged.at(change) for change in changes}

# %%
how4 = f"crossed bootstrap over {refits} logs (with their networks) x {episodes} paired episodes of {cycles} cycles"
shown3 = lambda e: f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})"  # noqa: E731
for change in changes:
    table = daily[change]
    means = {
        name: record(f"{change}.{name}", table["mean_reward", name], "reward/cycle", how4) for name in table.values
    }
    results.table(change, ["policy", "reward per cycle", "late", "workers"],
                  [[name, shown3(means[name]), *(("", "") if name == "bound" else
                    (f"{table['late', name].mean():.1%}", f"{table['workers', name].mean():.2f}"))] for name in table.values])  # fmt: skip
results.table("cost", ["policy", "milliseconds per decision"],
              [[n, round(float(np.median(daily["slower"]["milliseconds", n])), 3)] for n in names], live=True)  # fmt: skip

# %% [markdown]
# Before any change:
#
# ```{restable} 06_which_rollout/none
# ```
#
# `static` and `optimal` were planned before the change, `walk(static)` and `retrain(optimal)` after it; *optimal* is exact dynamic
# programming on a lattice (eleven levels of work at node 1, eight at node 2), solved on the learned model or, for the oracle,
# on the plant. Three variants have the base and the number of paths of `rollout(static)`: `safe` leaves the base only for a gain beyond two standard errors,
# `constrained` takes the best of the actions that are expected to keep late requests below a twentieth, `halving` spends the paths by
# sequential halving. `bound` is the reward that nobody exceeds: everything known beforehand, and no work carried over. It is loose by
# construction; the truth lies between the oracle and the bound.
#
# After the service became heavier:
#
# ```{restable} 06_which_rollout/heavier
# ```
#
# After node 1 became slower:
#
# ```{restable} 06_which_rollout/slower
# ```
#
# After the day's pattern shifted by a quarter:
#
# ```{restable} 06_which_rollout/shifted
# ```

# %% mystnb={"image": {"alt": "Horizontal bars with intervals of the reward per cycle on S4 after node 1 became slower, for all baselines, learners, rollouts, the lattice optimum and the upper bound."}}
figure, axes = plt.subplots(figsize=(7, 6), layout="constrained")
estimates = [daily["slower"].estimate("mean_reward", name) for name in daily["slower"].values]
plots.interval_bars(
    axes, list(daily["slower"].values), *zip(*((e.value, e.low, e.high) for e in estimates), strict=True)
)
axes.set_xlabel("reward per cycle after node 1 became slower (S4)")
plots.provenance_line(figure, results.record)

# %% [markdown]
# ### Does a rollout win?
#
# The question was put beforehand: does at least one rollout beat its own base, the best static setting, the autoscaler and PPO
# with a paired interval that excludes zero? Each line is a rollout after a change, each entry the paired gain over a rival.

# %%
rivals = {"own base": None, "best static": "walk(static)", "HPA": hpa, "PPO, old": "ppo", "PPO, retrained": "retrain(ppo)",
          "exact": "retrain(optimal)"}  # fmt: skip
own = {f"rollout({hpa})": hpa, "rollout(static)": "static", "rollout(ppo)": "ppo",
       "rollout(ppo, horizon=0, terminal=lattice)": "ppo"}  # fmt: skip
lines = []
for change in changes[1:]:
    for name, base in own.items():
        reward = {row: daily[change]["mean_reward", row] for row in names}
        gains = {r: reward[name] - reward[who or base] for r, who in rivals.items()}
        ends = {r: record(f"{change}.{name} - {r}", g, "reward/cycle", how4) for r, g in gains.items()}
        lines.append([change, name, *map(shown3, ends.values())])
results.table("wins", ["change", "rollout", *rivals], lines)

# %%
asked_of = ("own base", "best static", "HPA", "PPO, old", "PPO, retrained")
values = results.record["values"]
won = {(c, n): all(values[slug(f"{c}.{n} - {r}")]["low"] > 0 for r in asked_of) for c in changes[1:] for n in own}
some = asked_of[:-1]
unadapted = {(c, n): all(values[slug(f"{c}.{n} - {r}")]["low"] > 0 for r in some) for c in changes[1:] for n in own}
for key, found in (("won", won), ("won-against-old", unadapted)):
    results.value(f"{key}.changes", len({c for (c, _), yes in found.items() if yes}), unit="changes")
    results.table(key, ["change", "rollouts that beat them all"],
                  [[c, ", ".join(n for n in own if found[c, n]) or "none"] for c in changes[1:]])  # fmt: skip
for change in changes:
    reward = {name: daily[change]["mean_reward", name] for name in ("bound", [*own][-1])}
    record(f"{change}.to-bound", reward["bound"] - reward[[*own][-1]], "reward/cycle", how4)

# %% [markdown]
# ```{restable} 06_which_rollout/wins
# ```
#
# Against the unadapted rivals (own base, best static setting of the new model, autoscaler, the PPO from before the change), the
# rollouts that beat them all are:
#
# ```{restable} 06_which_rollout/won-against-old
# ```
#
# and against these *and* a PPO retrained on the newest model for as long as the first one:
#
# ```{restable} 06_which_rollout/won
# ```
#
# The last column of the table of gains is the sober one: exact planning on a lattice of the newest model. It takes seconds once per
# change and then costs next to nothing per decision; where it is at hand, a rollout that ends in its value can at best equal it. What
# rollout offers is that it needs no lattice: any base, any simulator, four steps. The distance from the best rollout to the bound
# is {res}`06_which_rollout/heavier.to-bound:.3f:interval`, {res}`06_which_rollout/slower.to-bound:.3f:interval` and
# {res}`06_which_rollout/shifted.to-bound:.3f:interval` after the three changes (before them {res}`06_which_rollout/none.to-bound:.3f:interval`).
#
# ```{restable} 06_which_rollout/cost
# ```
#
# ## Two to thirty-two components
#
# A fleet of $K$ queues with three settings each has $3^K$ joint actions. Joint rollout compares all of them; multi-agent rollout goes
# through the queues one by one, $2K$ comparisons besides the base's action. We run both where both can run.

# %%
fleets = {
    k: experiment.run(partial(fleet, k, decisions, seed), fleet_rows(k), experiment.episodes(range(12)))
    for k in components
}
calls = {(k, name): float(table["model_steps", name][0]) for k, table in fleets.items() for name in table.values}
reward = {(k, name): fleets[k].estimate("mean_reward", name) for k, name in calls}
results.table("fleet", ["components", "policy", "reward per cycle", "model steps per decision"],
              [[k, name, f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f})", f"{calls[k, name]:.0f}"]
               for (k, name), e in reward.items()])  # fmt: skip
results.table("fleet-time", ["components", "policy", "milliseconds per decision of one fleet among twelve"],
              [[k, name, round(float(fleets[k]["milliseconds", name][0]), 3)] for k, name in calls], live=True)  # fmt: skip

# %% mystnb={"image": {"alt": "Model steps per decision against the number of components, both on logarithmic scales: multi-agent rollout grows linearly, joint rollout leaves the picture at eight components."}}
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name in dict.fromkeys(name for (_, name), steps in calls.items() if steps):
    points = [(k, steps) for (k, who), steps in calls.items() if who == name]
    axes.plot(*zip(*points, strict=True), marker="o", label=name)
axes.set(xscale="log", yscale="log", xlabel="components", ylabel="model steps per decision")
axes.legend()
plots.provenance_line(figure, results.record)

# %% [markdown]
# ```{restable} 06_which_rollout/fleet
# ```
#
# ```{restable} 06_which_rollout/fleet-time
# ```
#
# The model steps of multi-agent rollout grow in proportion to the number of queues (and each step's arrays grow with them once
# more); joint rollout leaves the picture where $3^K$ does. Where both run, the table says what the one-by-one decisions cost in reward.

# %%
results.claim(
    "noms2024-ranking-of-bases", "samani2024online",
    "Rollout improves every base policy, and the trained base is the better one to roll out from.",
    "random < greedy < PPO", "replicated" if better and over.low > 0 and held.low <= 0 else "not reproduced",
    f"On our testbed's S1, judged on held-out visits: every base is improved: {'yes' if better else 'no'}; rollout of PPO above "
    f"that of the random base: {'yes' if over.low > 0 else 'no'}. The value: rollout of the greedy base minus that of PPO.",
    measured="s1.ppo-behind-greedy")  # fmt: skip

# %%
results.claim(
    "noms2024-multiagent-against-joint", "samani2024online",
    "Multi-agent rollout performs comparably to joint rollout at a fraction of its cost.",
    "comparable", "replicated" if joint.low <= 0 else "not reproduced",
    "On our testbed's S1; the value is by how much joint one-step rollout of PPO is above multi-agent rollout of it.",
    measured="s1.multiagent-behind")  # fmt: skip
_ = results.write()

# %% [markdown]
# ## What we assumed
#
# - S1's plant is a forest fit to held-out visits; S4's plant is a simulator of ours, request by request, and no real mesh.
# - On S4 the model is learned from a whole day after the change, under the autoscaler with a fifth of the requests at node 2, before any
#   rollout acts. Adapting *while* learning is the next chapter but two's business.
# - The controller sees the work that waits at each node. On a real mesh it would be the number of requests in the queue times their mean
#   demand. It does not see whether a burst is on, and infers it from the measured load.
# - The retrained PPO gets the new model for free and as many steps as the old one; the time that this takes is not counted here.
# - Refits and PPO seeds go together on S4 (one network per log); on S1 they are crossed.
#
# ## Exercises
#
# **1.** In the linear-quadratic problem take $a = 0.9$. Where is the edge of stability now, and why can no Newton step fail?
#
# ```{admonition} Solution
# :class: dropdown
# The edge is at $K = r(|a| - 1)/b^2 < 0$, left of every sensible value: the uncontrolled system is stable already, so is every
# greedy policy, and the formula is the true cost everywhere.
# ```
#
# **2.** Why may `multi-agent` never fall below its base with one step of lookahead, though *autonomous* may?
#
# ```{admonition} Solution
# :class: dropdown
# Each component improves on the policy that those before it have improved already, and the base's setting is always a candidate:
# a chain of improvements. Autonomous components each improve on the base alone; two good moves may be one bad one together,
# such as two controls that both shed the same load.
# ```
#
# **3.** Run `netrollout compare mesh-s4 hpa "rollout(hpa)" "rollout(hpa, horizon=12)" --set phase=after --set change=slower`. Why does
# a longer rollout of the autoscaler do no better?
#
# ```{admonition} Solution
# :class: dropdown
# The longer the base acts within the simulated path, the more the return belongs to the base and its noise, and the less to the first
# action. Four cycles are enough to see a worker get ready; what comes after is the autoscaler's business whatever we do now. A good
# terminal value (`horizon=0, terminal=lattice`) does more than a long horizon.
# ```
#
# ## Recap
#
# - Rollout is one Newton step: large from a poor value, and never wrong side of the base on the model.
# - The base matters more than the depth, and the terminal value more than the horizon.
# - Where queues, delays and a day make settings wrong in turn, rollout beats statics, rules and an unadapted network with a learned
#   model; exact planning on a lattice, where it fits, is at least as good.
# - One component at a time costs in proportion to the components and gives most of the joint gain.
#
# ## Further reading
#
# Bertsekas {cite}`bertsekas2021rollout` for truncated, fortified and multi-agent rollout, {cite}`bertsekas2022lessons` for Newton's view.
