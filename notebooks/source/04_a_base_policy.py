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
# # A base policy
#
# **After this chapter you can**
#
# - say when one needs a learned policy at all, and when a table does;
# - train MaskablePPO on a learned model of the mesh, with the published settings, and follow the *exact* value of what
#   it has learned;
# - run the sign-flip test, which finds training code that does not learn from its reward;
# - report a trained policy with an interval over training seeds *and* model refits, next to baselines that cost
#   nothing.
#
# **You need** chapter {doc}`03_markov_decision_process`. The quick profile runs in about half a minute; the full one
# trains many more policies and takes several minutes on two cores.
#
# ## The question
#
# In the last chapter the optimum of the mesh was a matter of milliseconds. Why would anybody spend thousands of steps
# of reinforcement learning on it? Because that chapter filled in a *table* with one row for each state, and tables do
# not scale. Rollout, the subject of the next chapter, needs some policy to start from, its **base policy**. Where
# tables are out of reach, the base is typically a neural network trained on a model. Here, where we *can* compute the
# optimum, we get to see how good such a network really is, which on larger systems nobody can.

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
source: str = "testbed"  # traces that the chapter is about: testbed (shipped) or kth (published, where fetched)
seed: int = 0  # of models, refits and trainings
refits: int = 10  # visits held out in turn, each with a bootstrap refit of the model on the others
training_seeds: int = 2  # policies trained on each refit
steps: int = 30_000  # environment steps of each training
every: int = 1_024  # environment steps between two exact judgements
flip_steps: int = 8_192  # environment steps of the sign-flip test

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed

# %%
from netrollout import make, plots
from netrollout.batch import joint_actions
from netrollout.catalog import Worlds, policy_table
from netrollout.dp import MDP, evaluate_policy, policy_iteration
from netrollout.evaluate import t_interval
from netrollout.learn import learner, learning_curve, recipe, tabulate, train
from netrollout.learn.network import policy_probabilities
from netrollout.results import Results
from netrollout.studies.rotation import record_difference, tell
from netrollout.systems.mesh.dynamics import Objective
from netrollout.traces import trace_files

# %%
plots.use_style()
asked = dict(source=source, seed=seed, refits=refits, training_seeds=training_seeds, steps=steps, every=every,
             flip_steps=flip_steps)  # fmt: skip
results = Results("04_a_base_policy", profile, asked, data=trace_files("mesh/release_before"))

# %% [markdown]
# ## Why learn a policy at all
#
# Suppose a mesh has $m$ controls of five levels each. It has $5^m$ states and, with one increment per control, $3^m$
# joint actions; exact planning looks at all $15^m$ pairs in every sweep.

# %%
lines = [[m, f"{5**m:,}", f"{3**m:,}", f"{15**m:,}"] for m in (2, 4, 6, 8, 10)]
results.table("growth", ["controls", "states", "joint actions", "pairs per sweep"], lines)

# %% [markdown]
# ```{restable} 04_a_base_policy/growth
# ```
#
# S2 is the first row, S1 about the second. Somewhere below it a sweep no longer ends, and that is without a load that
# moves or a backlog, which are not even finite. A policy $\pi_\theta(u \mid x)$, a function with a fixed number of
# parameters $\theta$, has no row per state; it only has to be right on the states that are visited, and it
# generalises, for better or worse, to the others.
#
# ## Policy gradients with a clip, and a mask
#
# Proximal policy optimisation (PPO) {cite}`schulman2017ppo` runs the present policy $\pi_{\theta_0}$ for a while,
# estimates for every step by how much the action was better than the policy's average, the *advantage* $\hat A$, and
# then raises
#
# $$
# \mathrm{E}\Big[\min\big(\rho\,\hat A,\ \mathrm{clip}(\rho, 1-\epsilon, 1+\epsilon)\,\hat A\big)\Big]
# + \beta\, \mathrm{E}\,[H(\pi_\theta(\cdot\mid x))],
# \qquad \rho = \frac{\pi_\theta(u\mid x)}{\pi_{\theta_0}(u\mid x)} .
# $$ (base-ppo)
#
# The clip at $\epsilon$ takes away the incentive to move far from the policy that collected the data. The entropy $H$,
# weighted by $\beta$, keeps the policy from deciding too early. A second network of the same size, the *critic*,
# estimates values for $\hat A$.
#
# **Invalid action masking.** At $c = 5$ "one worker more" makes no sense. One could let it happen and hold, or punish
# it. The mask does something simpler: it sets the logits of infeasible actions to minus infinity *before* the softmax,
#
# $$
# \pi_\theta(u \mid x) = \frac{m(x,u)\, e^{z_\theta(x,u)}}{\sum_v m(x,v)\, e^{z_\theta(x,v)}},
# \qquad m(x,u) \in \{0, 1\},
# $$ (base-mask)
#
# so they have probability zero, and the gradient with respect to their logits is zero as well: it remains the gradient
# of a legitimate policy {cite}`huang2022masking`. No sample is wasted on discovering what we knew.
#
# We use MaskablePPO of Stable-Baselines3's contributed package {cite}`raffin2021sb3` with the settings that were
# published for this very scenario {cite}`samani2024online`, one environment included.

# %%
names = {"n_steps": "n_steps", "batch_size": "batch_size", "learning_rate": "learning_rate", "ent_coef": "ent_coef",
         "clip_range": "clip_range", "hidden": "net_arch", "lanes": "environments"}  # fmt: skip
settings = recipe("ppo").settings
shown = {name: str(settings[key]) for key, name in names.items()}
results.table("settings", ["setting", "value"], [[key, value] for key, value in shown.items()])
MESH = {"testbed": "mesh-release", "kth": "mesh-s2"}[
    source
]  # scenario S2: our release, and as published; before its change
models, plants = ([make(MESH, side, source=source, seed=seed, held=r, **more(r)) for r in range(refits)]
                  for side, more in (("model", lambda r: {"refit": r}), ("plant", lambda r: {})))  # fmt: skip
mdps = [MDP.from_system(model) for model in models]
plant = plants[0]

# %%
start = int(plant.index(plant.initial(np.random.default_rng(0), 1))[0])
fresh = learner(models[0], "ppo", seed)
results.value("weights", sum(weight.numel() for weight in fresh.model.policy.parameters()))
results.value("states", plant.n_states)
results.value("feasible", float(mdps[0].feasible.mean()), unit="share")
results.value("horizon", plant.horizon, unit="cycles")
results.value("steps", steps)

# %% [markdown]
# ```{restable} 04_a_base_policy/settings
# ```
#
# The mask leaves {res}`04_a_base_policy/feasible:.0%:bare` of all pairs of state and action. The networks together
# have {res}`04_a_base_policy/weights` weights, for a system of {res}`04_a_base_policy/states` states. A table would
# have {res}`04_a_base_policy/states` entries; keep the proportion in mind when you read "deep" in a title.
#
# ## Training on the learned model
#
# The network never touches the plant. It is trained on the tabulated model of S2 *before the change*, in episodes of
# {res}`04_a_base_policy/horizon` from the dearest corner. An episode stops there because we stop looking, not because
# the system ends, so the last reward is continued with the critic's estimate (the episode is *truncated*, not
# *terminated*).
#
# The usual learning curve shows the noisy return of exploring episodes. We can do better: every so often we read the
# greedy policy out as a table and compute its **exact** value on the model by the linear solve of chapter
# {doc}`03_markov_decision_process`. Each policy is trained on one of several refits of the model (bootstrap of its
# visits) with seeds of its own, so that the two levels are nested.


# %%
def trained(r, n):
    def value(policy):
        return evaluate_policy(mdps[r], tabulate(policy, models[r])).value[[start]]

    agent = learner(models[r], "ppo", seeds[r][n], fresh=False)  # one training, not a new stream in each segment
    curve = learning_curve(agent, steps, every, value)
    return tabulate(agent.policy(), models[r]), policy_probabilities(agent.policy(), models[r]), curve


seeds = (seed + np.arange(refits * training_seeds)).reshape(refits, training_seeds).tolist()

# %%
jobs = [(r, n) for r in range(refits) for n in range(training_seeds)]
found = Parallel(n_jobs=-1)(delayed(trained)(r, n) for r, n in jobs)
each = (refits, training_seeds)
tables = np.array([table for table, _, _ in found]).reshape(*each, -1)
laws = np.array([law for _, law, _ in found]).reshape(*each, *mdps[0].reward.shape)
curves = np.array([curve.values[:, 0] for _, _, curve in found]).reshape(*each, -1)
at = found[0][2].done
speed = sum(curve.done[-1] for _, _, curve in found) / sum(curve.seconds for _, _, curve in found)
results.value("speed", speed, unit="steps/s", live=True)

# %%
best = [policy_iteration(mdp) for mdp in mdps]
top = np.array([solved.value[start] for solved in best])
share = curves / top[:, None, None]
middle = [t_interval(share[..., k]) for k in range(len(at))]
worlds = [Worlds(model, model, held, seed) for model, held in zip(models, plants, strict=True)]
flat = {name: np.mean([evaluate_policy(mdp, policy_table(name, w)).value[start] / j
                       for mdp, w, j in zip(mdps, worlds, top, strict=True)])
        for name in ("random", "static", "greedy")}  # fmt: skip

# %%
there = share >= 0.95
first = np.where(there.any(axis=2), at[there.argmax(axis=2)], -1)
results.value("reached", int(there.any(axis=2).sum()), n=len(jobs))
results.value("runs", len(jobs))
hit = first[first >= 0]
results.value("steps-to-95", int(np.median(hit)) if len(hit) else None, unit="steps")
results.value("stayed", int(there[..., -1].sum()))

# %% mystnb={"image": {"alt": "Learning curve: exact value of the greedy policy, as share of the model's optimum, against environment steps, with a 95 percent interval, thin lines for single trainings, and levels of random, greedy and static."}}
figure, axes = plt.subplots(figsize=(9, 3.8), layout="constrained")
axes.plot(at, share.reshape(len(jobs), -1).T, color="grey", linewidth=0.5, alpha=0.6)
plots.band(
    axes, at, *([getattr(e, part) for e in middle] for part in ("value", "low", "high")), "PPO, mean, 95 % interval"
)
for style, (name, level) in zip((":", "--", "-."), flat.items(), strict=True):
    axes.axhline(level, color="black", linestyle=style, linewidth=1, label=name)
axes.axhline(0.95, color="C3", linewidth=0.8, label="95 % of the optimum")
axes.set(xlabel="environment steps", ylabel="exact value of the greedy policy\n(share of the model's optimum)")
figure.legend(loc="outside right center")
plots.provenance_line(figure, results.record)

# %% [markdown]
# **What the figure says.** Thin lines are single trainings, the band is the 95 % t interval of their mean over the held-out
# visits. Of {res}`04_a_base_policy/runs` trainings {res}`04_a_base_policy/reached` reached
# 95 % of their model's optimum at some point, the median of these after {res}`04_a_base_policy/steps-to-95`;
# {res}`04_a_base_policy/stayed` stood there at the end, after {res}`04_a_base_policy/steps` steps. A greedy policy
# changes in jumps: when the order of two actions flips in one state, the walk from the start may end in another cell.
# This is why single lines rise and fall, and why one training is no result.
#
# The black lines cost nothing: `static` and `greedy` come out of the same model without any training. The trainings
# took place at {res}`04_a_base_policy/speed:.0f` on one core.
#
# ## Does it learn from the reward at all? The sign-flip test
#
# A curve that rises may rise for a wrong reason: a mask that leaves only good actions, a start that is good by itself,
# a judge that looks at the wrong thing. A cheap test: turn the sign of the reward and train again. A sound training
# must then find a policy that is *bad* by the true reward, worse than random, near the worst there is.


# %%
class Turned(Objective):
    """The same mesh, paid the wrong way round."""

    def __call__(self, saved, d):
        reward, violation = super().__call__(saved, d)
        return -reward, violation


turned = replace(models[0], objective=Turned(**vars(models[0].objective)))

# %%
wrong = tabulate(train(turned, "ppo", flip_steps, seed), turned)
fall = float(evaluate_policy(mdps[0], wrong).value[start])
results.value("flip.turned", fall, unit="reward")
results.value(
    "flip.random", float(evaluate_policy(mdps[0], policy_table("random", worlds[0])).value[start]), unit="reward"
)
results.value("flip.worst", -float(policy_iteration(MDP.from_system(turned)).value[start]), unit="reward")
results.finding("flip", {"flip.turned < flip.random": "That is below random: the test is passed."},
                otherwise="That is not below random: the test is not passed.")  # fmt: skip

# %% [markdown]
# Trained on the turned reward, the policy is worth {res}`04_a_base_policy/flip.turned:.2f` by the true one; random is
# worth {res}`04_a_base_policy/flip.random:.2f`, and the worst possible policy {res}`04_a_base_policy/flip.worst:.2f`.
# {finding}`04_a_base_policy/flip` (One training with one seed: a test of the code, not a
# measurement.)
#
# ## The policy, drawn

# %% mystnb={"image": {"alt": "Two maps over routing weight and workers with arrows: on the left the moves of the trained policy, on the right those of the model's optimum, over the exact value of each."}}
figure, panels = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
p, c = (control.levels for control in plant.controls)
x, y = np.divmod(np.arange(plant.n_states), len(c))
for axes, (name, table) in zip(
    panels, {"PPO, first seed": tables[0, 0], "optimum": best[0].policy}.items(), strict=True
):
    worth = evaluate_policy(mdps[0], table).value.reshape(len(p), len(c)).T
    plots.grid_map(axes, worth, p, [int(n) for n in c], "value on the model, discounted reward", digits=1)
    move = joint_actions(plant.levels)[table] - 1
    axes.quiver(x, y + 0.29, *move.T, pivot="mid", scale=30, color="white", edgecolor="black", linewidth=0.5)
    axes.set(title=name, xlabel="p, share of requests to node 1", ylabel="c, workers of node 1")
plots.provenance_line(figure, results.record)

# %%
how = f"t interval over {refits} held-out visits, {training_seeds} trainings with each; exact"


def record(name, values, unit="reward"):
    e = t_interval(values)
    results.value(name, e.value, e.low, e.high, n=e.n, unit=unit, how=how)


same = np.array([[(tables[r, n] == best[r].policy).mean() for n in range(training_seeds)] for r in range(refits)])
record("same-action", same, "share")

# %% [markdown]
# **What the figure says.** Arrows are moves, a dot is "hold". Training starts every episode in the upper right corner,
# so the network sees the cells on its way often and the far corners rarely. It takes the optimum's action in
# {res}`04_a_base_policy/same-action:.0%:interval` of the states. That is a harsh measure, as a tie or a detour of one
# cycle counts as an error; values are what matters.
#
# ## How far from the optimum, on the model and on the plant
#
# Now all policies side by side, each judged exactly, on the model that it was made on and on the plant that it has not
# seen. `ppo` takes the most probable action; `ppo, sampled` draws from $\pi_\theta$, as in training.

# %%
BASELINES = ("random", "static", "greedy", "reactive", "optimal", "oracle")
plans = {name: [[policy_table(name, w)] * training_seeds for w in worlds] for name in BASELINES}
plans |= {"ppo": tables, "ppo, sampled": laws}
on_plant = [MDP.from_system(held) for held in plants]


# %%
def worth(judges, plan):  # at the start, (refits, training seeds)
    return np.array([[evaluate_policy(judge, table).value[start] for table in row]
                     for judge, row in zip(judges, plan, strict=True)])  # fmt: skip


model_worth = {name: worth(mdps, plan) for name, plan in plans.items()}
plant_worth = {name: worth(on_plant, plan) for name, plan in plans.items()}


# %%
def words(values):
    e = t_interval(values)
    return f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f})"


best_model, best_plant = model_worth["optimal"], plant_worth["oracle"]
lines = [[name, words(model_worth[name]), words(best_model - model_worth[name]), words(plant_worth[name]),
          words(best_plant - plant_worth[name])] for name in plans]  # fmt: skip
columns = ["policy", "on its own model", "below the model's optimum", "on the plant", "below the oracle"]

# %%
results.table("policies", columns, lines)
for name in ("ppo", "ppo, sampled", "static", "optimal", "random"):
    key = name.removeprefix("ppo, ")
    record(f"model.{key}", model_worth[name])
    record(f"plant.{key}", plant_worth[name])
    record(f"model.below-optimum.{key}", best_model - model_worth[name])
    if name != "ppo":
        record_difference(results, f"plant.ppo-minus-{key}", plant_worth["ppo"] - plant_worth[name])
    record(f"plant.below-oracle.{key}", best_plant - plant_worth[name])

# %%
results.value("margin", 0.1, unit="reward", how="a tenth of a per cent of the largest value")
for rival, who in {
    "static": "the best static setting of its model",
    "optimal": "the exact optimum of its model",
    "random": "random",
}.items():
    said = f"The network is ahead of {who} by", f"The network minus {who} is", f"whether the network or {who} is ahead"
    print(tell(results, f"plant.ppo-minus-{rival}", *said, "margin"))
results.finding("recap", {
    "plant.ppo-minus-optimal < 0": "A network falls short of the exact optimum of the same model on the plants, by {plant.ppo-minus-optimal:.1f:interval:bare}.",
    "plant.ppo-minus-optimal within margin": "A network reaches on the plants what the exact optimum of the same model is worth."},
    otherwise="On the plants a network and the exact optimum of the same model are not told apart: {plant.ppo-minus-optimal:.1f:interval:bare}.")  # fmt: skip

# %% [markdown]
# ```{restable} 04_a_base_policy/policies
# ```
#
# Values from the start, exact. Every visit of the trace is held out once and judges; the models are learned from the others; intervals are Student's over the
# visits, with the trainings of each averaged. The columns "on its own model" are planned and
# judged on the same object and therefore optimistic; they are here to show what training *left on the table*, not what
# a policy earns.

# %% mystnb={"image": {"alt": "Horizontal bars with intervals: exact value at the start on the plant of every policy, baselines and PPO."}}
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
bars = [t_interval(values) for values in plant_worth.values()]
plots.interval_bars(axes, list(plant_worth), *zip(*((e.value, e.low, e.high) for e in bars), strict=True))
axes.set_xlabel("discounted reward from the start, on the plant")
plots.provenance_line(figure, results.record)

# %% [markdown]
# **What the table says.** On its own model PPO stays {res}`04_a_base_policy/model.below-optimum.ppo:.2f:interval`
# below the optimum. On the plants it is worth {res}`04_a_base_policy/plant.ppo:.2f:interval`. {finding}`04_a_base_policy/plant.ppo-minus-static`
# {finding}`04_a_base_policy/plant.ppo-minus-optimal` {finding}`04_a_base_policy/plant.ppo-minus-random` Sampling from the policy instead of taking its best
# action gives {res}`04_a_base_policy/plant.sampled:.2f:interval`: the entropy term pays for exploration in training,
# and one should switch it off in service.
#
# Two sources of error are visible. The column "below the model's optimum" is the *learner's* error; exact planning
# does not have it. The rest of "below the oracle" is the *model's* error, which all rows that plan on it share. A
# network cannot win against the optimum on its model; if it wins on the plant, it is because it happened to end in
# another of those settings that the model rates alike (chapter {doc}`03_markov_decision_process`), one that the plant
# likes better: luck of the tie, not skill. On this system the table of chapter {doc}`03_markov_decision_process` does
# what the network does, in milliseconds. We keep the network as base policy because it is what one has when there is
# no table, and because we can measure here, exactly, what rollout makes of it.
#
# The tables of all trained policies are part of this chapter's results (`trained`), one row each.

# %%
names = [f"p={p[s // len(c)]:g} c={c[s % len(c)]:g}" for s in range(plant.n_states)]
rows = [[r, seeds[r][n], *tables[r, n].tolist()] for r, n in jobs]
results.table("trained", ["refit", "training seed", *names], rows)
_ = results.write()

# %% [markdown]
# ## What we assumed
#
# - The published settings, unturned. They were chosen for a model that costs a forest prediction per step; nobody
#   tuned them here.
# - One environment, episodes from one start. Other starts would teach the network more of the map, and less of the
#   path that counts.
# - Each plant is one visit of each configuration: ten units in the full profile, and the intervals hold their noise.
# - Training seeds stand for everything random in training: initial weights, sampled actions, sampled windows.
#
# ## Exercises
#
# **1.** Show from {eq}`base-mask` that the derivative of $\log \pi_\theta(u\mid x)$ with respect to the logit $z(x,v)$
# of a masked action $v$ is zero.
#
# ```{admonition} Solution
# :class: dropdown
# For feasible $u \ne v$, $\log \pi(u|x) = z(x,u) - \log\sum_{v'} m(x,v') e^{z(x,v')}$, and $z(x,v)$ enters with the
# factor $m(x,v) = 0$ only. So masked logits get no gradient, and the sampled $u$ is never masked itself.
# ```
#
# **2.** Train with `netrollout train mesh-release ppo --steps 5000` and other seeds, or raise `training_seeds`. How does
# the width of the interval change when you double the seeds, and when you double the refits? Which one would you buy
# more of?
#
# ```{admonition} Solution
# :class: dropdown
# A mean of $N$ independent trainings has a standard error that falls with $1/\sqrt N$, but only the part of the spread
# that comes from training. The part that comes from the model falls with the number of refits only. Look at the spread
# within and between rows of the table `trained`'s values, and buy what dominates.
# ```
#
# **3.** Why does the sign-flip test not prove that the training is correct? Invent a bug that it does not find.
#
# ```{admonition} Solution
# :class: dropdown
# It shows that the reward's sign reaches the policy. A wrong discount, a truncated episode taken for a terminated one,
# or a reward scaled by two would all pass. Only the distance from a known optimum finds those, which is why we train
# on small systems first.
# ```
#
# ## Recap
#
# - Learned policies are for state spaces that cannot be enumerated; on a small one they can be *checked*.
# - Masks remove infeasible actions before the softmax, at no cost in bias.
# - Follow exact values of greedy policies, over several seeds and refits; one curve is an anecdote.
# - {finding}`04_a_base_policy/recap`
# - Learner's error and model's error are different numbers. Report both, next to the static setting.
#
# ## Further reading
#
# Schulman and others {cite}`schulman2017ppo` for PPO; Huang and Ontañón {cite}`huang2022masking` for masking; Raffin
# and others {cite}`raffin2021sb3` for the implementation; Samani, Hammar and Stadler {cite}`samani2024online` for the
# settings and the scenario.
