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
# - write rollout by simulation in ten lines, and multi-agent rollout as a loop around it;
# - control thirty-two components at once, which have 3^32 joint actions.
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

from netrollout import batch, experiment, make, plots
from netrollout.catalog import world
from netrollout.dp import MDP, LinearQuadratic, along_line, evaluate_policy, policy_iteration

# %%
from netrollout.evaluate import over_units, simulate
from netrollout.policies import random_table
from netrollout.results import Results
from netrollout.rollout import TruncatedRollout
from netrollout.studies.networks import networks
from netrollout.studies.which_rollout import bound, exact_rollouts, fleet, fleet_rows
from netrollout.systems.mesh.policies import greedy_table, reactive_table
from netrollout.systems.queues.policies import Hold, Hpa, Stay, Threshold, best_static
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
    e = over_units(values)
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
problem = LinearQuadratic(a=2.0, b=1.0, q=1.0, r=1.0)
grid, start = np.linspace(0.0, 12.0, 400), 1.6
step = problem.newton(start)
formula, true = ([f(k) for k in grid] for f in (problem.newton, lambda k: problem.cost(problem.gain(k))))
for name, value in {"edge": problem.edge(), "optimum": problem.optimum(), "step": step}.items():
    results.value(f"lq.{name}", value, unit="cost")

# %% mystnb={"image": {"alt": "Riccati's function against the diagonal with the Newton step from a value inside the region of stability, and a second panel with the true and the computed cost of the greedy policy on both sides of its edge."}}
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4), layout="constrained")
left.plot(grid, [problem.riccati(k) for k in grid], label="F(K)")
left.plot(grid, grid, color="black", linewidth=0.8, label="diagonal")
left.plot([start, step], [problem.riccati(start), step], "--", label="tangent at K = 1.6")
left.set(xlabel="K", ylabel="F(K)")
right.plot(grid, formula, label="Newton's formula")
right.plot(grid, true, label="true cost of the greedy policy")
right.axvline(problem.edge(), color="black", linestyle=":", label="edge of stability, F'(K) = 1")
right.set(xlabel="K", ylabel="cost", ylim=(-5, 15))
for axes in (left, right):
    axes.legend(fontsize=7)
plots.provenance_line(figure, results.record)

# %% [markdown]
# From $K = 1.6$, a poor value just right of the edge, one step lands at {res}`06_which_rollout/lq.step:.2f:bare`, with the optimum at {res}`06_which_rollout/lq.optimum:.2f:bare`. Right of
# the edge at {res}`06_which_rollout/lq.edge:.1f:bare` the two curves of the second panel are one; left of it they part.
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
# The greedy policy at the random policy's value, which *is* one-step rollout of the random policy, already reaches
# {res}`06_which_rollout/line.first:.0%:bare` of the optimum on the model, though the value that it looks at is far below.
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
how = f"t interval over {refits} model refits x {training_seeds} PPO bases; exact on the plant"
bases = ["random", "greedy", "reactive", "ppo"]
kinds = list(dict.fromkeys(kind for base, kind in s1 if base != "none"))
cells = {key: record("s1." + ".".join(key), v, "reward", how) for key, v in s1.items()}
shown = lambda e: f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f})" if e else ""  # noqa: E731
results.table("s1", ["base", *kinds], [[base, *(shown(cells.get((base, kind))) for kind in kinds)] for base in bases])
results.table("s1-limits", ["policy", "mean value over states"],
              [[kind, shown(cells["none", kind])] for kind in ("best static", "exact on the model", "oracle")])  # fmt: skip

# %% [markdown]
# ```{restable} 06_which_rollout/s1
# :caption: S1: mean value over states, on the plant
# ```
#
# ```{restable} 06_which_rollout/s1-limits
# :caption: S1: what there is to reach
# ```
#
# Read each row from left to right. A good base leaves little to gain: greedy is near the best that the model offers
# already. From the random base one step does most of the work. Each further step makes the bases more alike, and in the
# last column of lookahead there is little left between them. *Depth replaces the base, where you can pay for it.* With
# one step the base decides, and there the paper's ranking of bases is put to the test below.

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
# ```{admonition} The system in one look
# :class: tip
# **State** $x = (p, c,$ work that waits at each node, workers that still start, time of day, whether there is a burst$)$.
# **Control** each cycle of 5 s, $p$ and $c$ one level down, the same, or one up. **Disturbance** the requests that arrive,
# their demands, bursts. **Response** response times; a new worker serves from the third cycle on, and work that is left waits
# for the next cycle. **Reward** $r = -0.06\,c - 2 \cdot$ (share of requests later than 0.4 s) $- 0.01 \cdot$ (levels moved): one
# worker for a cycle costs as much as three late requests in a hundred. **Change** requests get *heavier*, node 1 *slower*, the
# day's pattern *shifted*. **Plant** draws every request; the **model** has the same queues, its means learned from a log.
# **Source** ours.
# ```
#
# The plant draws log-normal
# demands, request by request. The model has the same queues with exponential demands whose means, like the day's pattern, are
# *learned* from a log: four days before the change, one day after it. All numbers of the scenario, the changes, and rollout's own
# settings (four steps of the base policy, sixteen paths, nothing behind) were written down before any rollout was run.
#
# ### Rollout in ten lines
#
# The base is an operator's rule: a worker more after a cycle with more than a twentieth of its requests late, a worker less after an idle
# one. `returns` tries a list of actions in the state $x$: each is taken on many copies of the model, the base goes on from there, and
# all actions meet the same arrivals. Rollout takes the best.

# %%
heavier = world("mesh-s4", seed=seed, phase="after", change="heavier")
plant, model = heavier.plant, heavier.model
rule = Threshold(model)
moves = batch.joint_actions(model.levels)  # nine: p and c down, same, up


# %%
def returns(x, actions, rng, steps=4, paths=16):
    w = model.disturbance(rng, (steps + 1, paths))  # one luck for all
    u, total = np.repeat(actions, paths, axis=0), 0.0
    lanes = batch.repeat(x, len(u))
    for t in range(steps + 1):
        luck = np.tile(w[t], (len(actions), 1))
        step = model.transition(lanes, u, luck)
        total = total + model.discount**t * step.reward
        lanes, u = step.state, rule.predict(model.observe(step.state))[0]
    return total.reshape(len(actions), paths).mean(axis=1)


# %%
def rollout(x, rng):
    allowed = batch.joint_feasible(model.feasible(x), model.levels)[0]
    held = rule.predict(model.observe(x))[0]  # first: it wins ties
    actions = np.concatenate([held, moves[allowed]])
    return actions[returns(x, actions, rng).argmax()]


# %% [markdown]
# One day on the plant, cycle by cycle, and beside it the package's rollout with the same random numbers:

# %%
x, luck = plant.initial(np.random.default_rng(seed), 1), np.random.default_rng(1)
rng, package = np.random.default_rng(seed), TruncatedRollout(
    model, rule, np.random.default_rng(seed), horizon=4, samples=16)  # fmt: skip
for _ in range(96):
    u = rollout(x, rng)
    assert (u == package.improve(x, rule.predict(model.observe(x))[0])).all()
    x = plant.step(x, u[None], luck).state

# %% [markdown]
# Over two days, beside its base and the best constant of the model:

# %%
ways = {"constant": Hold(model, best_static(model)), "rule": rule,
        "rollout": TruncatedRollout(model, rule, np.random.default_rng(seed),
                                    horizon=4, samples=16)}  # fmt: skip
days = {name: simulate(plant, way, [seed], horizon=192)
        for name, way in ways.items()}  # fmt: skip
for name, day in days.items():
    print(f"{name:9} {day.rewards.mean():.3f} reward per cycle")

# %% mystnb={"image": {"alt": "Three panels over two days of 96 cycles. Above, the offered load, a wave with bursts. In the middle, the workers: the constant holds one number, the rule follows the load late, rollout gives workers back at night and takes them before the morning. Below, the reward collected beyond the constant: rollout rises, the rule falls behind at each rise of the load."}, "figure": {"caption": "Two days on the plant after the work got heavier. Rollout gives workers back at night and takes them again before the rush."}}
figure, panels = plt.subplots(3, 1, figsize=(6.4, 5), sharex=True)
colours = {"constant": "#9E9E9E", "rule": "#D55E00", "rollout": "#0072B2"}
panels[0].plot(days["rule"].metrics["load"][0], color="black", linewidth=1)
for name, day in days.items():
    more = (day.rewards - days["constant"].rewards)[0].cumsum()
    panels[1].plot(day.metrics["workers"][0], color=colours[name], label=name)
    panels[2].plot(more, color=colours[name])
panels[1].legend(ncols=3, fontsize=8)
panels[0].set_ylabel("load (requests/s)")
panels[1].set_ylabel("workers")
panels[2].set(ylabel="beyond the constant", xlabel="cycle")
plots.provenance_line(figure, results.record)

# %% [markdown]
# **One component after the other.** Nine joint actions are few. Where there are many, let each control choose in turn, while those after
# it do what the base does: a loop around the same ten lines.


# %%
def one_by_one(x, rng):
    u = rule.predict(model.observe(x))[0][0]
    for i in range(len(u)):
        options = np.tile(u, (3, 1))
        options[:, i] = [1, 0, 2]  # same, down, up
        options = options[model.feasible(x)[0][3 * i + options[:, i]]]
        u = options[returns(x, options, rng).argmax()]
    return u


# %% [markdown]
# ### The study
#
# One free number belongs to a baseline: the autoscaler's target utilisation. Rule: the best of five on the model from before the change.

# %%
before = make("mesh-s4", side="model", seed=seed)
trial = {t: simulate(before, Hpa(before, target=t), range(8)).mean_rewards().mean() for t in (0.3, 0.4, 0.5, 0.6, 0.7)}
hpa = f"hpa(target={max(trial, key=trial.get)})"
names = ["random", "static", "walk(static)", "reactive", hpa, "greedy", "ppo", "retrain(ppo)", "optimal", "rollout(random)",
         "rollout(reactive)", f"rollout({hpa})", "rollout(static)", "multiagent(static)",
         "rollout(static, select=safe)", "rollout(static, select=constrained)", "rollout(static, halving=true)",
         "rollout(ppo)", "rollout(ppo, horizon=0, terminal=stale)", "lookahead(value=lattice)",
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
how4 = f"t interval over {refits} logs (with their networks) x {episodes} paired episodes of {cycles} cycles"
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
# :caption: S4 before any change
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
# :caption: S4 after the requests got heavier
# ```
#
# After node 1 became slower:
#
# ```{restable} 06_which_rollout/slower
# :caption: S4 after node 1 got slower
# ```
#
# After the day's pattern shifted by a quarter:
#
# ```{restable} 06_which_rollout/shifted
# :caption: S4 after the pattern of the day shifted
# ```

# %% mystnb={"image": {"alt": "Horizontal bars with intervals of the reward per cycle on S4 after node 1 became slower, for all baselines, learners, rollouts, the lattice optimum and the upper bound."}}
figure, axes = plt.subplots(figsize=(7, 6), layout="constrained")
estimates = [daily["slower"].estimate("mean_reward", name, interval=over_units) for name in daily["slower"].values]
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
own = {f"rollout({hpa})": hpa, "rollout(static)": "static", "rollout(ppo)": "ppo"}
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
    reward = {name: daily[change]["mean_reward", name] for name in ("bound", "rollout(static)")}
    record(f"{change}.to-bound", reward["bound"] - reward["rollout(static)"], "reward/cycle", how4)

# %% [markdown]
# ```{restable} 06_which_rollout/wins
# :caption: S4: paired gains of rollouts over their rivals
# ```
#
# Against the unadapted rivals (own base, best static setting of the new model, autoscaler, the PPO from before the change), the
# rollouts that beat them all are:
#
# ```{restable} 06_which_rollout/won-against-old
# :caption: Rollouts that beat all rivals from before the change
# ```
#
# and against these *and* a PPO retrained on the newest model for as long as the first one:
#
# ```{restable} 06_which_rollout/won
# :caption: Rollouts that beat the retrained network, too
# ```
#
# The last column of the table of gains is the sober one: exact planning on a lattice of the newest model. It takes seconds once per
# change and then costs next to nothing per decision. `lookahead(value=lattice)` closes one simulated cycle with its value; it has no base, so
# we do not count it among the rollouts. What rollout offers is that it needs neither lattice nor training: any base, any simulator,
# four steps. The distance from `rollout(static)` to the bound
# is {res}`06_which_rollout/heavier.to-bound:.3f:interval`, {res}`06_which_rollout/slower.to-bound:.3f:interval` and
# {res}`06_which_rollout/shifted.to-bound:.3f:interval` after the three changes (before them {res}`06_which_rollout/none.to-bound:.3f:interval`).
#
# ```{restable} 06_which_rollout/cost
# :caption: S4: time per decision
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
reward = {(k, name): fleets[k].estimate("mean_reward", name, interval=over_units) for k, name in calls}
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
# :caption: The fleet: reward and model steps
# ```
#
# ```{restable} 06_which_rollout/fleet-time
# :caption: The fleet: time per decision
# ```
#
# The model steps of multi-agent rollout grow in proportion to the number of queues (and each step's arrays grow with them once
# more); joint rollout leaves the picture where $3^K$ does. Where both run, their rewards differ by less than their intervals. At two
# components the joint search is the *quicker* one in milliseconds: it is one large batch, and the loop is two small ones.

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
#   rollout acts. Adapting *while* learning comes with the closed loop, in {doc}`09_the_closed_loop`.
# - The controller sees the work that waits at each node. On a real mesh it would be the number of requests in the queue times their mean
#   demand. It does not see whether a burst is on, and infers it from the measured load.
# - The retrained PPO gets the new model for free and as many steps as the old one; the time that this takes is not counted here.
# - Refits and PPO seeds go together on S4 (one network per log); on S1 they are crossed.
#
# ## Exercises
#
# ````{exercise}
# :label: ex-which-edge
# **Warm-up.** In the linear-quadratic problem take $a = 0.9$. Where is the edge of stability now, and why can no Newton step fail?
# ````
#
# ````{solution} ex-which-edge
# :class: dropdown
# The edge is at $K = r(|a| - 1)/b^2 < 0$, left of every sensible value: the uncontrolled system is stable already, so is every
# greedy policy, and the formula is the true cost everywhere.
# ````
#
# ````{exercise}
# :label: ex-which-chain
# **Derive.** Why may `multi-agent` never fall below its base with one step of exact lookahead, though *autonomous* may?
# ````
#
# ````{solution} ex-which-chain
# :class: dropdown
# Each component improves on the policy that those before it have improved already, and the base's setting is always a candidate:
# a chain of improvements. Autonomous components each improve on the base alone; two good moves may be one bad one together,
# such as two controls that both shed the same load.
# ````
#
# ````{exercise}
# :label: ex-which-budget
# **Program.** Give `returns` the choice between many short and few long paths: 4 steps and 16 paths, or 19 steps and 4 paths (both are 80
# model steps an action). In how many of twenty states do they choose the same action?
# ````
#
# ````{solution-start} ex-which-budget
# :class: dropdown
# Long paths belong to the base more than to the first action, and four of them are noisy: the two budgets often disagree.
# ````

# %% tags=["solution"]
here, luck, same = plant.initial(np.random.default_rng(seed), 1), np.random.default_rng(2), []
for cycle in range(40):
    held = rule.predict(model.observe(here))[0]
    many = returns(here, moves, np.random.default_rng(cycle), 4, 16)
    long = returns(here, moves, np.random.default_rng(cycle), 19, 4)
    same += [many.argmax() == long.argmax()] if cycle % 2 else []
    here = plant.step(here, held, luck).state
print(sum(same), "of", len(same))
assert len(same) == 20

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-which-two
# **Program.** Rollout with two bases: try each action once with the rule and once with *stay* (`Stay`) behind it, and take the action
# with the best of all. Show that its estimate is never below that of either.
# ````
#
# ````{solution-start} ex-which-two
# :class: dropdown
# The larger of two numbers is not below either. The plant need not agree: a maximum of estimates is an optimist.
# ````

# %% tags=["solution"]
operator, estimates = rule, {}
for rule in (operator, Stay()):
    estimates[type(rule).__name__] = returns(x, moves, np.random.default_rng(seed))
rule = operator
both = np.maximum(*estimates.values())
assert both.max() >= max(e.max() for e in estimates.values())
print(moves[both.argmax()])

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-which-long
# **Predict, then run.** `netrollout compare mesh-s4 hpa "rollout(hpa)" "rollout(hpa, horizon=12)" --set phase=after --set change=slower`. Does
# a longer rollout of the autoscaler do better?
# ````
#
# ````{solution} ex-which-long
# :class: dropdown
# No. The longer the base acts within the simulated path, the more the return belongs to the base and its noise, and the less to the first
# action. Four cycles are enough to see a worker get ready; what comes after is the autoscaler's business whatever we do now.
# ````
#
# ````{exercise}
# :label: ex-which-open
# **Open.** You may simulate for a tenth of a second per decision. How would you spend it: actions, paths, steps, or a better base?
# ````
#
# ````{solution} ex-which-open
# :class: dropdown
# There is no single answer. A start: steps until an action's effect is over (here a worker's start), paths until the gain of the
# best over the base exceeds two standard errors, actions as the base's neighbours. If the base never goes where it is good, none of that helps.
# ````
#
# ## Recap
#
# - Rollout is one Newton step: large from a poor value, and on the model never below its base.
# - With one step the base decides; more steps replace the base, where you can pay for them.
# - Where queues, delays and a day make settings wrong in turn, rollout with a learned model beats constants, rules and an unadapted
#   network. Retraining or an exact plan beats rollout; rollout needs neither.
# - One component at a time costs in proportion to the components. On the fleet it earns what the joint search earns; on S1 it is
#   behind by an interval that reaches down to zero.
#
# ## Further reading
#
# Bertsekas {cite}`bertsekas2021rollout` for truncated, fortified and multi-agent rollout, {cite}`bertsekas2022lessons` for Newton's view.
