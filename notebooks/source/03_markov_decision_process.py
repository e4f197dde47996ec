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
# # The mesh as a decision process
#
# **After this chapter you can**
#
# - write a service mesh as a system $x' = f(x,u,w)$ and turn it into a Markov decision process with numbers in it;
# - solve it exactly, by value iteration and by policy iteration, and say how fast each of them must converge;
# - read an optimal policy off a picture, and check whether it is more than "walk to the best setting and stay there";
# - judge policies on another object than the one they were planned on, and put a number on what happens if you do not.
#
# **You need** the chapters {doc}`00_ten_minutes`, {doc}`01_testbed_and_traces` and {doc}`02_system_models`, and linear
# algebra. The quick profile runs in a quarter of a minute, the full one in about a minute.
#
# ## The question
#
# One compute service runs on two nodes. You have two knobs: which share of the requests goes to node 1, and how many
# workers node 1 has. Workers cost money, late answers annoy people, and in every control cycle you may turn each knob
# by one notch at most. You stand at the dearest corner: all requests to node 1, all its workers running. Which way do
# you walk, and where do you stop?
#
# There are so few settings that we need not guess. In this chapter we compute the answer *exactly*, and learn to be
# suspicious of it all the same: it is exact for the model, and the model is not the mesh.

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
source: str = "testbed"  # traces that the chapter is about: testbed (shipped) or kth (published, where fetched)
seed: int = 0  # of the models and their refits
episodes: int = 200  # paired episodes on the plant of each visit

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

from netrollout import make, plots
from netrollout.batch import joint_actions, repeat, take
from netrollout.catalog import Worlds, describe, make_policy, policy_table
from netrollout.dp import MDP, evaluate_policy, greedy, policy_iteration, q_factors, value_iteration
from netrollout.evaluate import resolution, simulate, t_interval
from netrollout.results import Results
from netrollout.studies.rotation import record_difference, record_worth, tell
from netrollout.systems.mesh.realise import visits
from netrollout.traces import kth_available, shipped_names, trace_files

# %%
plots.use_style()
asked = dict(source=source, seed=seed, episodes=episodes)
used = [name for name in ("mesh/release_after", "mesh/s1") if name in shipped_names()]
results = Results("03_markov_decision_process", profile, asked, data=trace_files(*used))

# %% [markdown]
# ## A system, and what drives it
#
# Following Bertsekas {cite}`bertsekas2021rollout`, a system in discrete time is
#
# $$
# x_{k+1} = f(x_k, u_k, w_k), \qquad k = 0, 1, 2, \dots
# $$ (mdp-system)
#
# with a **state** $x_k$ (what one must know to predict), a **control** $u_k$ (what we choose) and a **disturbance**
# $w_k$ (what nobody chooses). We take the mesh of scenario S2 (the scenarios S1 to S4 are listed in
# {doc}`../book/notation`), after a release has made its service heavy:
#
# | symbol | what it is here |
# |---|---|
# | $x = (p, c)$ | the setting: routing weight $p$ to node 1, workers $c$ of node 1 |
# | $u = (u_p, u_c)$ | one increment per control: down, hold or up, each $-1$, $0$ or $+1$ notch |
# | $w$ | which of the possible window means of the response time the cycle meets |
#
# A control cycle is: turn the knobs, wait a window, look at the mean response time $d$,
#
# $$
# x' = \mathrm{clip}(x + u), \qquad d = g(x', w), \qquad
# r(x', d) = \begin{cases} 1 - c'/5 & \text{if } d \le O,\\ -(d - O) & \text{otherwise,}\end{cases}
# $$ (mdp-reward)
#
# where $c'$ is the number of workers after the move, $O$ is the bound on the response time, and both $d$ and $O$ are
# in seconds. While the bound holds, every worker that you do *not* run pays a fifth. When it breaks, you pay the
# excess. Clipping means that a knob at its end stays there; increments that would run into the end are called
# infeasible and are not offered.
#
# Only $g$ is unknown, and only $g$ is learned (chapter {doc}`02_system_models`). The knobs and the reward are ours.

# %%
MESH = {"testbed": "mesh-release", "kth": "mesh-s2"}  # scenario S2: the release on our testbed, and as published
model, plant = (make(MESH[source], side, source=source, phase="after", seed=seed) for side in ("model", "plant"))
p, c = (control.levels for control in model.controls)
start = int(model.index(model.initial(np.random.default_rng(0), 1))[0])
print("routing weights", p, " workers", c, " start", f"p = {p[start // len(c)]:g}, c = {c[start % len(c)]:g}")
results.value("bound", 1000 * model.objective.bounds[0], unit="ms")
results.value("discount", model.discount)
results.value("horizon", model.horizon, unit="cycles")

# %% [markdown]
# The bound is {res}`03_markov_decision_process/bound:.0f`, fixed by a rule before any policy was run (`mesh-release.yml`): about five times the fastest
# mean before the release, so that after it a sixth of the settings can keep it.
#
# We keep **two** systems from now on. Every setting was visited ten times. The {term}`model` is learned from one half of these
# visits. The {term}`plant` consists of the windows of the other half, which the model has never seen. We plan on the first
# and are judged on the second.
#
# ```{admonition} The system in one look
# :class: tip
# **State** the setting $(p, c)$. **Control** each knob one notch down, the same, or up. **Disturbance** which window the cycle
# meets. **Response** its mean response time $d$. **Reward** $1 - c'/5$ while $d \le O$, else minus the excess in seconds.
# **Change** none here: the release lies behind us. **Plant** the windows of held-out visits. **Model** a distribution of $d$
# for each setting, learned from the other visits. **Source** our testbed.
# ```
#
# ## From the system to a Markov decision process
#
# If the $w_k$ are independent, the state alone decides how the future is distributed. Such a system is a **Markov
# decision process** (MDP) {cite}`puterman2005markov`: states $x$, actions $u$, probabilities $P(x' \mid x,u)$ and
# expected rewards
#
# $$
# \bar r(x,u) = \mathrm{E}_w\, r\big(f(x,u,w), g(f(x,u,w), w)\big).
# $$ (mdp-expected)
#
# The expectation stands *outside* the reward.
#
# ```{admonition} The wrong idea first
# :class: warning
# *Take the mean response time of a setting, and look up its reward.* Near the bound some windows hold it and some break it.
# The mean falls on one side, and its reward, $r(\mathrm{E}\,d)$, knows nothing of the other. Take the reward of every window
# first, and average then.
# ```
#
# A policy $\mu$ maps states to actions. Its **value** is the expected discounted sum of the rewards it earns,
#
# $$
# J_\mu(x) = \mathrm{E}\Big[\sum_{k=0}^{\infty} \gamma^k\, r_k \,\Big|\, x_0 = x\Big], \qquad 0 \le \gamma < 1 .
# $$ (mdp-value)
#
# The discount factor $\gamma$ = {res}`03_markov_decision_process/discount` weighs a reward that comes $k$ cycles later
# by $\gamma^k$. A reward of 1 in every cycle for ever is worth $1/(1-\gamma)$. `MDP.from_system` makes the arrays by
# stepping every state with every action through every window. There are {res}`03_markov_decision_process/states` states
# $s$ (the settings) and {res}`03_markov_decision_process/actions` joint actions $a$ (three increments of each of two knobs).
# So `reward[s, a]` is $\bar r$, and `transition` has one row for each pair, the pair $(s, a)$ in row $9s + a$.

# %%
mdp = MDP.from_system(model)
results.value("states", mdp.n_states)
results.value("actions", mdp.n_actions)
print(f"transition {mdp.transition.shape}, reward {mdp.reward.shape}, feasible {mdp.feasible.mean():.0%}")

# %% mystnb={"image": {"alt": "Two heat maps over routing weight p and workers c: expected reward of holding each setting, on the model and on the plant."}, "figure": {"caption": "What it pays per cycle to stay at a setting, on the model (left) and on the plant (right). The good cells lie beside the bad ones."}}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
hold = int(np.flatnonzero((joint_actions(model.levels) == 1).all(axis=1))[0])
for ax, (name, system) in zip(axes, {"model": model, "plant": plant}.items(), strict=True):
    held = MDP.from_system(system).reward[:, hold].reshape(len(p), len(c)).T
    plots.grid_map(ax, held, p, [int(n) for n in c], "expected reward per cycle")
    ax.set(title=f"holding a setting, {name}", xlabel="p, share of requests to node 1", ylabel="c, workers of node 1")
plots.provenance_line(figure, results.record)

# %% [markdown]
# **How to read it.** A cell is the expected reward per cycle of staying there. Where the bound nearly always holds,
# the number is the saving $1 - c/5$ of its row; below that, some windows break the bound. The cheap rows at the bottom
# are where money is saved and where it becomes risky. Compare the two maps cell by cell: they agree on the broad
# picture and differ most on the edge between "holds" and "breaks", where one or two windows decide. Keep this in mind;
# it is the story of the section on judging.
#
# Where does such a number come from? We make one by hand: the best cell of the model's map. The model says which
# windows are possible there, all equally likely. We step each of them once, on a copy of the setting, and average.

# %%
at = int(mdp.reward[:, hold].argmax())
w, chance = model.noise_support()  # the windows, and their probabilities
copies = repeat(take(model.states(), [at]), len(w))
stay = np.tile(joint_actions(model.levels)[hold], (len(w), 1))
step = model.transition(copies, stay, w)
print(f"{len(w)} windows, {step.metrics['violation'].sum():.0f} over the bound")
print(f"mean of their rewards {chance @ step.reward:.3f}")
assert np.isclose(chance @ step.reward, mdp.reward[at, hold])

# %% [markdown]
# ## Bellman's equation
#
# The best value from a state is the best sum of "now" and "later". That sentence is an equation,
#
# $$
# J^*(x) = \max_{u} \Big[\bar r(x,u) + \gamma \sum_{x'} P(x'\mid x,u)\, J^*(x')\Big] =: (T J^*)(x),
# $$ (mdp-bellman)
#
# and a policy that takes a maximising action in every state is optimal. The bracket is called the Q-factor of $(x,u)$.
#
# **One policy** needs no maximum: with $\mu$ fixed, {eq}`mdp-value` is a linear system,
#
# $$
# J_\mu = r_\mu + \gamma P_\mu J_\mu \quad\Longleftrightarrow\quad (I - \gamma P_\mu)\, J_\mu = r_\mu ,
# $$ (mdp-evaluation)
#
# with one unknown per state. We solve it, and check that nothing is left over.

# %%
still = np.full(mdp.n_states, hold)
value = evaluate_policy(mdp, still).value
left = np.abs(value - q_factors(mdp, value)[np.arange(mdp.n_states), still]).max()
results.value("hold", float(value[start]), unit="reward")
print(f"holding the start for ever is worth {value[start]:.4f}; largest residual {left:.1e}")

# %% [markdown]
# Staying at the start for ever, all workers running, is worth {res}`03_markov_decision_process/hold:.2f`. No wonder: who
# runs all five workers saves nothing.
#
# **The best policy** can be found in two classical ways. Both use the bracket of {eq}`mdp-bellman`, the Q-factors, and
# nothing else:

# %%
P = mdp.transition.toarray().reshape(mdp.n_states, mdp.n_actions, -1)
gamma, S = mdp.discount, np.arange(mdp.n_states)


def q(J):  # Q[s, a], the bracket of Bellman's equation
    return np.where(mdp.feasible, mdp.reward + gamma * P @ J, -np.inf)


# %% [markdown]
# *Value iteration* puts the best bracket in the place of $J$, again and again:

# %%
J_star = np.zeros(mdp.n_states)
for _ in range(2000):
    J_star = q(J_star).max(axis=1)
print(f"after 2000 sweeps the start is worth {J_star[start]:.4f}")

# %% [markdown]
# *Policy iteration* evaluates a policy exactly by {eq}`mdp-evaluation`, then takes the greedy action for that value
# everywhere, and repeats until no action changes:

# %%
policy = still
for k in range(10):
    J = np.linalg.solve(np.eye(len(S)) - gamma * P[S, policy],
                        mdp.reward[S, policy])  # fmt: skip
    print(f"round {k}: the start is worth {J[start]:.4f}")
    if np.allclose(q(J)[S, policy], q(J).max(axis=1)):
        break
    policy = q(J).argmax(axis=1)
assert np.allclose(J, J_star)

# %% [markdown]
# How fast are they? *Value iteration* applies $T$ again and again. Because $T$ shrinks distances in the maximum norm,
# $\lVert T J - T J' \rVert_\infty \le \gamma \lVert J - J' \rVert_\infty$, the error after $k$ sweeps obeys
#
# $$
# \lVert J_k - J^* \rVert_\infty \le \gamma^k \lVert J_0 - J^* \rVert_\infty .
# $$ (mdp-contraction)
#
# Every round of *policy iteration* is at least as good in all states as the one before, for the reason given in chapter 0. It
# stops after finitely many, since there are finitely many policies. The package has both; the next figure shows their
# errors from round to round.

# %% tags=["hide-input"]
best = policy_iteration(mdp)
sweeps, J, table = [], np.zeros(mdp.n_states), still
for _ in range(400):
    sweeps.append(J - best.value)
    J = q_factors(mdp, J).max(axis=1)
rounds = []
for _ in range(12):
    J = evaluate_policy(mdp, table).value
    rounds.append(np.abs(J - best.value).max())
    table = greedy(mdp, J, prefer=table)

# %% tags=["remove-cell"]
error = np.abs(sweeps).max(axis=1)
k = np.arange(len(error))

# %% mystnb={"image": {"alt": "Error per iteration on a logarithmic axis: value iteration runs along the bound gamma to the k, its spread falls at once, policy iteration reaches the optimum in a few rounds."}, "figure": {"caption": "Error of value iteration and of policy iteration, both axes logarithmic (the horizontal one from 1 on). Blue and dashed: slow, as the bound says. Orange: the decisions are settled long before. Green: two rounds."}}
figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
axes.semilogy(k, error, label="value iteration, largest error")
axes.semilogy(k, error[0] * mdp.discount**k, "k--", linewidth=1, label=r"the bound $\gamma^k \Vert J_0 - J^*\Vert$")
axes.semilogy(k, np.maximum(np.ptp(sweeps, axis=1), 1e-13), label="value iteration, spread of the error")
axes.semilogy(range(len(rounds)), np.maximum(rounds, 1e-13), "o-", label="policy iteration, largest error")
axes.set(xlabel="iterations", ylabel="error, discounted reward", ylim=(3e-14, None), xscale="symlog", xlim=(0, None))
axes.legend(loc="center right")
plots.provenance_line(figure, results.record)

# %% tags=["remove-cell"]
reached = int(np.argmax(np.array(rounds) < 1e-9))
results.value("pi-rounds", reached, unit="improvements" if reached != 1 else "improvement")
needed = np.log(1e-6 / error[0]) / np.log(mdp.discount)
results.value("vi-sweeps-needed", int(np.ceil(needed)), unit="sweeps")
results.value("vi-sweeps-bounds", value_iteration(mdp).iterations, unit="sweeps")
results.value("contraction", float((error[1:] / error[:-1]).max()))

# %% [markdown]
# **What the figure says.** The largest error of value iteration runs along its bound; the worst ratio of one error to
# the one before is {res}`03_markov_decision_process/contraction:.4f`, and {eq}`mdp-contraction` says that it may not
# exceed $\gamma$. To bring it below $10^{-6}$, the bound asks for {res}`03_markov_decision_process/vi-sweeps-needed`.
# That sounds worse than it is: the *spread* of the error (largest minus smallest entry) vanishes long before. What
# remains is one constant that is wrong in all states alike, and a constant changes no decision. Bounds that use this
# (MacQueen's) stop the package's `value_iteration` after {res}`03_markov_decision_process/vi-sweeps-bounds`. Policy
# iteration, begun at "hold everywhere", is there after {res}`03_markov_decision_process/pi-rounds`. The first of these
# improvements, begun at a better policy than "hold", is called *rollout* and has a chapter of its own,
# {doc}`05_the_service_changes`.
#
# ## The optimal policy, drawn

# %%
move = joint_actions(model.levels)[best.policy] - 1
x, y = np.divmod(np.arange(mdp.n_states), len(c))
going = move.any(axis=1)

# %% mystnb={"image": {"alt": "Heat map of the optimal value over routing weight and workers, with an arrow in each cell for the optimal move and a dot where it holds."}, "figure": {"caption": "The optimal policy of the model: arrows are moves, the dot holds. All ways lead to one cell."}}
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
plots.grid_map(
    axes, best.value.reshape(len(p), len(c)).T, p, [int(n) for n in c], "optimal value, discounted reward", digits=1
)
axes.quiver(
    x[going], y[going] + 0.29, *move[going].T, pivot="mid", scale=30, color="white", edgecolor="black", linewidth=0.5
)
axes.plot(x[~going], y[~going] + 0.29, "o", color="white", markeredgecolor="black")
axes.set(xlabel="p, share of requests to node 1", ylabel="c, workers of node 1")
plots.provenance_line(figure, results.record)

# %% [markdown]
# **What the figure says.** Arrows are moves, dots are where the policy holds. All arrows lead, one notch per cycle and
# diagonally where that is shorter, to one region of the map, and there they end. Values differ little from cell to
# cell because the walk is short compared with the $1/(1-\gamma)$ cycles that count.
#
# That picture suggests that the optimum is a *set-point search*: find the best setting, walk there, hold. Let us not
# believe the eye but compute. Without load changes a policy moves the knobs deterministically, so we can follow all
# states until they stand still, and compare with the policy `static`, which walks every control straight to the best
# static setting of the model.

# %%
worlds = Worlds(model, model, plant, seed)
static = policy_table("static", worlds)
at = np.arange(mdp.n_states)
for _ in range(20):
    at = mdp.successors[at, best.policy[at]]
gap = best.value - evaluate_policy(mdp, static).value
ends = sorted({f"p = {p[s // len(c)]:g}, c = {c[s % len(c)]:g}" for s in at})
results.value("ends", "; ".join(ends))
results.value("ends-number", len(ends))
results.value("static-equal", float((gap < 1e-9).mean()))
results.value("static-gap", float(gap.max()), unit="reward")
results.value("static-gap-start", float(gap[start]), unit="reward")

# %% [markdown]
# From all {res}`03_markov_decision_process/states` states the optimum ends in
# {res}`03_markov_decision_process/ends-number` setting(s): {res}`03_markov_decision_process/ends`. Walking straight to
# the best static setting and holding it is worth exactly as much in {res}`03_markov_decision_process/static-equal:.0%`
# of the states; where it is worth less, the loss is at most {res}`03_markov_decision_process/static-gap:.3f`, and at
# the start it is {res}`03_markov_decision_process/static-gap-start:.3f`. What planning adds is the choice of the cells
# one crosses *on the way*.
#
# So for this scenario dynamic programming is a careful way to look up the largest number of a small table. It is worth
# knowing that before anybody trains a neural network for it. Planning becomes more than that when something moves by
# itself (the load, in S3), when a cycle leaves a backlog to the next, or when the table is too large to fill.
#
# ## Judged on the plant
#
# Now the test that counts. Everything is planned on the model and judged on the plant, twice. *Exactly*, by
# {eq}`mdp-evaluation` with the plant's own rewards. And by *episodes* of {res}`03_markov_decision_process/horizon`,
# all policies meeting the same disturbances (paired seeds).
#
# Whose windows the plant is made of decides much. So **every visit is held out once**: in turn, each visit of each
# configuration is the plant, and the model is learned from a {term}`bootstrap` resample of the others. The ten plants share no window.
# Their means are ten independent numbers, and the intervals are Student's over them ({doc}`../book/statistics`).
#
# The competitors:
#
# - `random` draws an action;
# - `static` walks to the model's best static setting, as above;
# - `greedy` takes what pays best in the coming cycle;
# - `reactive` is the operator's rule: one more worker when the setting is mostly late, else one less, routing untouched;
# - `optimal` is the optimum of the model;
# - `oracle` is the optimum of the plant itself. Nobody can know it, and nobody can beat it.

# %% tags=["hide-input"]
POLICIES = ("random", "static", "greedy", "reactive", "optimal", "oracle")


def rotated_worlds(source):  # visit k is the plant's, the others are the model's
    name, found = MESH[source], []
    for k in range(visits(name, source, "after")):
        shared = dict(source=source, phase="after", seed=seed, held=k)
        one = make(name, "model", refit=k, **shared)
        found.append(Worlds(one, one, make(name, "plant", **shared), seed + k))
    return found


def exact_values(worlds):  # of each policy, (visits, states)
    judges = [MDP.from_system(w.plant) for w in worlds]
    return {name: np.array([evaluate_policy(judge, policy_table(name, w)).value for judge, w in zip(judges, worlds, strict=True)])
            for name in POLICIES}  # fmt: skip


# %% tags=["hide-input"]
many = rotated_worlds(source)
exact = exact_values(many)
seeds = np.arange(len(many) * episodes).reshape(
    len(many), episodes
)  # fresh episodes for each visit, the same for each policy
ran = {
    name: [simulate(w.plant, make_policy(name, w), row) for w, row in zip(many, seeds, strict=True)]
    for name in POLICIES
}
paid = {name: np.array([run.mean_rewards() for run in runs]) for name, runs in ran.items()}
late = {name: np.array([run.metrics["violation"].mean(axis=1) for run in runs]) for name, runs in ran.items()}


# %% tags=["remove-cell"]
def words(values):
    e = t_interval(values)
    return f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f})"


lines = [[name, words(exact[name][:, start]), words(exact[name].mean(axis=1)), words(paid[name]), words(late[name])]
         for name in POLICIES]  # fmt: skip
columns = ["policy", "value at the start", "mean over states", "reward per cycle", "share of cycles over the bound"]
results.table("policies", columns, lines)

# %% [markdown]
# ```{restable} 03_markov_decision_process/policies
# ```
#
# Values are exact on the plants; the last two columns are means over paired episodes from the start. How large must a
# difference be for ten plants to show it? In eight of ten such studies they would tell one of
# {res}`03_markov_decision_process/resolution:.1f` (optimum against oracle).

# %% tags=["remove-cell"]
at = {name: exact[name][:, start] for name in POLICIES}
results.value("resolution", resolution(at["optimal"] - at["oracle"]), unit="reward")
for name in POLICIES:
    record_worth(results, name, at[name])
for name in ("static", "greedy", "reactive"):
    record_difference(results, f"optimal-minus-{name}", at["optimal"] - at[name])
    record_difference(results, f"optimal-minus-{name}.episodes", paid["optimal"] - paid[name], "reward/cycle")
record_difference(results, "below-oracle", at["oracle"] - at["optimal"])
results.value("margin", 0.1, unit="reward", how="a tenth of a per cent of the largest value")

# %% tags=["remove-cell"]
RIVALS = {
    "static": "walking to the model's best static setting",
    "greedy": "the myopic `greedy`",
    "reactive": "the reactive rule",
}
for rival, who in RIVALS.items():
    said = f"The optimum is ahead of {who} by", f"The optimum minus {who} is", f"whether the optimum or {who} is ahead"
    print(tell(results, f"optimal-minus-{rival}", *said, "margin"))
tell(results, "below-oracle", "The oracle stands above the model's optimum by", "The oracle minus the model's optimum is",
     "whether the oracle is ahead of the model's optimum")  # fmt: skip

# %% mystnb={"image": {"alt": "Horizontal bars with intervals: exact value at the start, on the plant, of the random, static, greedy, reactive, optimal and oracle policies."}, "figure": {"caption": "What each policy is worth on the plants, with 95 % intervals over the held-out visits. Static, greedy and optimal are one policy in three clothes."}}
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
shown = [t_interval(exact[name][:, start]) for name in POLICIES]
plots.interval_bars(axes, POLICIES, *zip(*((e.value, e.low, e.high) for e in shown), strict=True))
axes.set_xlabel("discounted reward from the start, on the plant")
plots.provenance_line(figure, results.record)

# %% tags=["remove-cell"]
held = mdp.reward[:, hold]
near = held >= held.max() - 0.01
there = MDP.from_system(plant).reward[near, hold]
results.value("near-best", int(near.sum()))
results.value("near-best-low", float(there.min()), unit="reward/cycle")
results.value("near-best-high", float(there.max()), unit="reward/cycle")

# %% [markdown]
# **What the table says.** The model's optimum is worth {res}`03_markov_decision_process/optimal:.1f:interval` on the
# plants, the random policy {res}`03_markov_decision_process/random:.1f:bare`. {finding}`03_markov_decision_process/optimal-minus-static`
# {finding}`03_markov_decision_process/optimal-minus-greedy` {finding}`03_markov_decision_process/optimal-minus-reactive` Planning ahead beats a set-point only where
# such a sentence says so.
#
# The reactive rule is a warning of its own: it saves a worker as soon as all is well, breaks the bound, gives the
# worker back, and so on for ever; and it cannot turn the other knob.
#
# {finding}`03_markov_decision_process/below-oracle` If there is a gap, it is
# not a failure of dynamic programming. It is the price of planning on a model: on the edge of the bound a few windows
# decide, and model and plant met different ones. Look at it from the model's side: the number of settings
# within 0.01 per cycle of its best one is {res}`03_markov_decision_process/near-best`, and held on the plant they pay between
# {res}`03_markov_decision_process/near-best-low:.2f:bare` and {res}`03_markov_decision_process/near-best-high:.2f`. Part of the gap is the oracle's luck, as we see now.
#
# ## Do not judge a plan by the model that made it
#
# A plan picks the largest of many noisy numbers, so the number it picks is too large on average: the *winner's curse*.
# The table below contains, **labelled as such**, what you would have reported had you planned and judged on the same
# object.


# %% tags=["hide-input"]
def on(system, table):
    return float(evaluate_policy(MDP.from_system(system), table).value[start])


promised = np.array([on(w.model, policy_table("optimal", w)) for w in many])
kept = exact["optimal"][:, start]
swapped = np.array([on(w.model, policy_table("oracle", w)) for w in many])

# %% tags=["remove-cell"]
oracle = exact["oracle"][:, start]
same, other = "the same object: optimistic", "another object"
lines = [["model", "model", same, words(promised)], ["model", "plant", other, words(kept)],
         ["plant", "plant", same, words(oracle)], ["plant", "model", other, words(swapped)]]  # fmt: skip
results.table("same", ["planned on", "judged on", "", "value at the start"], lines)
record_difference(results, "optimism", promised - kept)
record_difference(results, "optimism-plant", oracle - swapped)
for key, whose in {"optimism": "the model's own optimum", "optimism-plant": "the oracle's plan, turned round,"}.items():
    print(tell(results, f"{key}", f"What is promised of {whose} exceeds what the other object pays by", f"What is promised of {whose}, minus what the other object pays, is",
               f"whether {whose} is promised too much"))  # fmt: skip

# %% [markdown]
# ```{restable} 03_markov_decision_process/same
# ```
#
# {finding}`03_markov_decision_process/optimism` {finding}`03_markov_decision_process/optimism-plant` The plant, too, is a
# finite sample of windows, and its optimum has picked the lucky ones. Two lessons. Never report a value from the
# object you planned on. And the distance to the oracle is an upper estimate of what a better model could bring.
#
# ## How far does enumeration go?
#
# Scenario S1 has two services on two nodes and four knobs. We time the same exact planning there.

# %% tags=["remove-cell"]
entry = describe("mesh-s1")
results.value("s1-states", entry.states)
results.value("s1-actions", entry.actions)
big = "mesh/s1" in shipped_names()

# %%
if big:
    begun = time.perf_counter()
    large = MDP.from_system(make("mesh-s1", side="model", seed=seed))
    listed = time.perf_counter()
    solved = policy_iteration(large)
    results.value("s1.listing", listed - begun, unit="s", live=True)
    results.value("s1.pi", time.perf_counter() - listed, unit="s", live=True)
    results.value("s1.rounds", solved.iterations, unit="rounds")
    results.value("s1.value", float(solved.value.mean()), unit="reward")
else:
    results.not_run("s1", "the trace mesh/s1 is not among the shipped data of this version")
print("S1:", "solved" if big else "not run here, because " + results.record["not_run"]["s1"])

# %% [markdown]
# S1 has {res}`03_markov_decision_process/s1-states` states and {res}`03_markov_decision_process/s1-actions` joint
# actions. Fitting its model and listing it takes {res}`03_markov_decision_process/s1.listing:.2f`, policy iteration
# from its myopic start {res}`03_markov_decision_process/s1.pi:.3f` and {res}`03_markov_decision_process/s1.rounds`.
# That is still little beside the measuring. But states multiply with every knob, and actions too: five more controls
# of five levels each would multiply the states by $5^5 = 3125$ and the actions by $3^5 = 243$. Chapter
# {doc}`04_a_base_policy` is about what one does then.
#
# ## The same on the published traces
#
# The KTH traces are not ours to ship; where they have been fetched (`netrollout data fetch kth`) the table is computed
# on them as well. There model and plant share a visit, so the split is kinder than ours.

# %% tags=["hide-input"]
if kth_available():
    there = rotated_worlds("kth")
    s = int(there[0].plant.index(there[0].plant.initial(np.random.default_rng(0), 1))[0])
    published = exact_values(there)
    lines = [[name, words(v[:, s]), words(v.mean(axis=1))] for name, v in published.items()]
    results.table("kth", ["policy", "value at the start", "mean over states"], lines)
    for rival in ("greedy", "static"):
        record_difference(results, f"kth.optimal-minus-{rival}", (published["optimal"] - published[rival])[:, s])
else:
    results.not_run("kth", "the published KTH traces have not been fetched (netrollout data fetch kth)")
print("published traces:", "used" if kth_available() else "not run here, because " + results.record["not_run"]["kth"])

# %% [markdown]
# ```{restable} 03_markov_decision_process/kth
# ```
#
# {finding}`03_markov_decision_process/kth.optimal-minus-greedy` The myopic policy stops at the first setting
# none of whose neighbours pays more; planning ahead is what crosses such a dip. {finding}`03_markov_decision_process/kth.optimal-minus-static`

# %%
results.finding("kth.optimal-minus-greedy", {"kth.optimal-minus-greedy > 0": "There the optimum beats the myopic policy by {kth.optimal-minus-greedy:.1f:interval}."},
                otherwise="There the optimum minus the myopic policy is {kth.optimal-minus-greedy:.1f:interval}.")  # fmt: skip
results.finding("kth.optimal-minus-static", {"kth.optimal-minus-static > 0": "It beats the walk to the best static setting by {kth.optimal-minus-static:.2f:interval}."},
                otherwise="Against the walk to the best static setting the difference is {kth.optimal-minus-static:.2f:interval}.")  # fmt: skip
results.finding("recap", {"optimal-minus-static within margin": "The optimum of this scenario is a set-point search: the walk to the best static setting is worth the same on every plant."},
                otherwise="On this scenario the best static setting is the competitor to beat: the optimum minus the walk to it is {optimal-minus-static:.2f:interval}.")  # fmt: skip
_ = results.write()

# %% [markdown]
# ## What we assumed
#
# - The setting is the whole state: nothing carries over from cycle to cycle but the knobs. The traces were collected
#   with drained queues; a real mesh hands its backlog to the next cycle.
# - Windows are independent draws given the setting. (Chapter {doc}`01_testbed_and_traces` looked for more likeness within a visit and found none.)
# - Each plant is one visit of each configuration: ten units. The folds' models share most of their visits, so an interval is a little narrow where the
#   model's error decides.
# - The bound, the reward and the discount are given. Another price of a worker gives another optimum.
#
# ## Exercises
#
# ````{exercise}
# :label: ex-mdp-warm
# **Warm-up.** What is the largest value that any policy could have here, in any state? What would its reward be in every cycle?
# ````
#
# ````{solution} ex-mdp-warm
# :class: dropdown
# No reward exceeds $1 - 1/5 = 0.8$ (one worker, bound held), so no value exceeds $0.8/(1-\gamma) = 80$ for $\gamma = 0.99$. No
# setting of the map keeps the bound on one worker; therefore the optimum stays well below.
# ````
#
# ````{exercise}
# :label: ex-mdp-contraction
# **Derive.** Show that $\lVert TJ - TJ' \rVert_\infty \le \gamma \lVert J - J' \rVert_\infty$, using
# $|\max_u a_u - \max_u b_u| \le \max_u |a_u - b_u|$.
# ````
#
# ````{solution} ex-mdp-contraction
# :class: dropdown
# For each $x$,
# $|(TJ)(x) - (TJ')(x)| \le \max_u \gamma \big|\sum_{x'} P(x'|x,u)(J(x') - J'(x'))\big|$,
# which is at most $\gamma \max_{x'} |J(x') - J'(x')|$,
# as the rewards cancel and the probabilities sum to one. Take the maximum over $x$.
# ````
#
# ````{exercise}
# :label: ex-mdp-constant
# **Derive.** Add a constant $a$ to every reward. What happens to $J^*$, and to the optimal policy? And if you *multiply*
# all rewards by $a$?
# ````
#
# ````{solution} ex-mdp-constant
# :class: dropdown
# Adding $a$ adds $a/(1-\gamma)$ to every value and changes no policy (no state terminates here). Multiplying by
# $a > 0$ multiplies all values and changes no policy either; a negative $a$ turns the best into the worst, a trick
# used in {doc}`04_a_base_policy`.
# ````
#
# ````{exercise}
# :label: ex-mdp-order
# **Program.** Value iteration may use each new value at once, state by state, instead of after a whole sweep (Gauss-Seidel).
# Write it. Does it find the same $J^*$, and does it need fewer sweeps for an error below one?
# ````
#
# ````{solution-start} ex-mdp-order
# :class: dropdown
# The same fixed point, in fewer sweeps: news travels within a sweep, too.
# ````


# %% tags=["solution"]
def sweeps(in_place, J, k=0):
    while np.abs(J - J_star).max() > 1:
        target, k = J if in_place else J.copy(), k + 1
        for s in S:
            ways = mdp.reward[s] + gamma * P[s] @ J
            target[s] = ways[mdp.feasible[s]].max()
        J = target
    return k


usual, at_once = (sweeps(way, np.zeros(len(S))) for way in (False, True))
print(usual, "sweeps against", at_once)
assert at_once <= usual

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-mdp-curse
# **Program: find the leak.** Thirty settings are all worth the same. Measure each of them five times, with noise of standard deviation 1, and
# choose the one with the best mean. What does its mean promise, and what does it pay? Repeat a thousand times.
# ````
#
# ````{solution-start} ex-mdp-curse
# :class: dropdown
# It promises nearly a whole standard deviation, and pays nothing. That is the winner's curse, without any dynamic programming.
# ````

# %% tags=["solution"]
noise = np.random.default_rng(seed).normal(size=(1000, 30, 5))
promised_mean = noise.mean(axis=2).max(axis=1).mean()
print(f"promised {promised_mean:.2f}, paid 0")
assert promised_mean > 0.5

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-mdp-discount
# **Predict, then run.** Make the optimum impatient: build the model with another `discount`, from 0 to 0.9. From which one on is
# the policy that of the figure? What does the most impatient one lose?
# ````
#
# ````{solution-start} ex-mdp-discount
# :class: dropdown
# Only states whose way to the best setting crosses a cell that pays much less can differ. With discount 0 it is `greedy`. On this
# map hardly any way does, so patience buys little.
# ````

# %% tags=["solution"]
for factor in (0.0, 0.1, 0.3, 0.9):
    hasty = make(MESH[source], "model", source=source, phase="after",
                 seed=seed, discount=factor)  # fmt: skip
    chosen = policy_iteration(MDP.from_system(hasty)).policy
    lost = (J_star - evaluate_policy(mdp, chosen).value).max()
    print(factor, (chosen != best.policy).sum(), "states differ,",
          f"at most {max(lost, 0):.2f} lost")  # fmt: skip
assert lost < 1e-3

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-mdp-open
# **Open.** The state here is the setting. Name something that a real mesh remembers from one cycle to the next. How would you
# enlarge the state, and how many states would there be?
# ````
#
# ````{solution} ex-mdp-open
# :class: dropdown
# There is no single answer. Requests that wait (a queue length for each node), workers that still start, the load. Each multiplies the states
# by its number of levels; ten levels of queue at two nodes make three thousand of thirty.
# ````
#
# ## Recap
#
# - A mesh with knobs on a grid is a small MDP; its policies are evaluated by one linear solve and its optimum found in
#   a few rounds.
# - Value iteration's error shrinks by $\gamma$ per sweep, and the decisions are right long before the values are.
# - {finding}`03_markov_decision_process/recap`
# - Plan on one object, judge on another, and say how much refits of the model move the answer.
#
# ## Further reading
#
# Puterman {cite}`puterman2005markov`, chapter 6, for everything on discounted MDPs; Bertsekas
# {cite}`bertsekas2021rollout` for the view of policy iteration as Newton's method; Samani, Hammar and Stadler
# {cite}`samani2024online` for the scenario.
