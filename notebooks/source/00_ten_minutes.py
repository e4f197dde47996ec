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
# # Ten minutes
#
# **After this chapter you can**
#
# - say in one sentence what rollout is;
# - write it in three lines where the system is a table, and in ten where it can only be simulated;
# - name the mistake that it cannot repair.
#
# **You need** Python with NumPy, and to know what an expectation is. Nothing else: no mesh, no network. The cells run in
# seconds. (Imports and bookkeeping stand in closed cells, here and in every chapter.)
#
# ## The question
#
# A policy was right until yesterday. Then the system changed. *Can ten lines repair it?*
#
# ## A map with a dip
#
# A controller moves along twelve settings, numbered 0 to 11. It works in rounds, which we call {term}`control cycles <control cycle>`.
# In every cycle it goes one down, stays, or goes one up. One move in ten does not happen: the controller stays where it
# is. Then the cycle pays what its setting is worth, and a fair coin adds or takes one.
#
# A **policy** says what to do at each setting. Yesterday the last setting was the best, so the policy in use is *go up,
# and stay at the top*. Today the last setting is not the best any more.

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
seed: int = 0  # of the simulated paths and of the episodes that are played

# %%
import matplotlib.pyplot as plt
import numpy as np

from netrollout import plots
from netrollout.dp import MDP, policy_iteration
from netrollout.evaluate import bootstrap, simulate
from netrollout.policies import TablePolicy
from netrollout.results import Results
from netrollout.rollout import TruncatedRollout, rollout_table
from netrollout.systems.toy import ToyState, Walk

# %%
plots.use_style()
results = Results("00_ten_minutes", profile, dict(seed=seed))

# %%
pays = (0.2, 0.3, 0.5, 0.6, 0.5, 0.2, 0.0, 0.2, 0.6, 0.9, 1.0, 0.7)
world = Walk(pays, slip=0.1, discount=0.95, horizon=60)
down, stay, up = 0, 1, 2
base = np.array([up] * 11 + [stay])  # the old policy: an action for each setting

# %% mystnb={"image": {"alt": "Bars of what each of the twelve settings pays today. There is a small hill at setting 3, a dip at setting 6 that pays nothing, and a higher hill at setting 10. Setting 11, where the old policy stays, pays less than setting 10."}, "figure": {"caption": "What the settings pay today. The old policy walks over the dip and past the hill to setting 11."}}
figure, axes = plt.subplots(figsize=(6.4, 2.6))
axes.bar(range(12), pays, color=["#9E9E9E"] * 11 + ["#D55E00"])
axes.set(xlabel="setting", ylabel="mean pay per cycle", xticks=range(12))
plots.provenance_line(figure, results.record)

# %% [markdown]
# ```{admonition} The system in one look
# :class: tip
# **State** the setting. **Control** down, stay, up. **Disturbance** a move that fails (one in ten), noise of the pay.
# **Reward** the pay of the setting that is reached; a cycle later it counts 0.95 as much. **Change** what the settings
# pay. **Plant and model** the same here: we know the system, which later chapters do not. **Source** none, it is a toy.
# ```
#
# ## The wrong idea first
#
# *Do what pays best in the next cycle.* This {term}`greedy policy` climbs the nearest hill, and stands in front of the dip
# for ever.
#
# ## The system as tables
#
# Two tables say all about this system. `P[s, u, t]` is the chance that action `u` leads from setting `s` to setting `t`.
# `r[s, u]` is the mean pay of the cycle in which `u` is taken at `s`; the coin has mean zero and drops out.


# %%
P, r = np.zeros((12, 3, 12)), np.zeros((12, 3))
for s in range(12):
    for u in (down, stay, up):
        there = min(max(s + u - 1, 0), 11)  # one down, the same, one up
        P[s, u, there] += 0.9
        P[s, u, s] += 0.1  # the move that does not happen
        r[s, u] = P[s, u] @ pays

# %% [markdown]
# At setting 0 nobody can go down, and at 11 nobody can go up. `allowed[s, u]` says so. The package writes the same tables
# for any system whose states can be listed; from now on we use its own.

# %%
mdp = MDP.from_system(world)
allowed, g, S = mdp.feasible, mdp.discount, np.arange(12)
assert np.allclose(mdp.reward[allowed], r[allowed])
P, r = mdp.transition.toarray().reshape(P.shape), mdp.reward

# %% [markdown]
# ## Rollout in three lines
#
# **Rollout** asks about each action: *if I do this now, and follow the old policy from then on, what do I get?* It takes
# the best answer.
#
# So it must know what following the old policy brings. Call the old policy $\mu$; it is the {term}`base policy` of rollout.
# Its {term}`value` $J(s)$ is the mean sum of all pay to come from setting $s$ on. Pay that comes a cycle later counts
# $\gamma = 0.95$ as much, two cycles later $\gamma^2$: that is the {term}`discount`. What you get is the pay of this cycle and
# the discounted value of the place where you arrive,
#
# $$
# J(s) = r(s, \mu(s)) + \gamma \sum_{s'} P(s' \mid s, \mu(s))\, J(s').
# $$ (ten-value)
#
# These are twelve linear equations for twelve numbers; the first line of the next cell solves them. The second line puts
# *one other action* in the place of $\mu(s)$, and keeps $J$ for what follows:
#
# $$
# Q(s, u) = r(s, u) + \gamma \sum_{s'} P(s' \mid s, u)\, J(s').
# $$ (ten-q)
#
# The third line takes the best action. That is rollout.

# %%
J = np.linalg.solve(np.eye(12) - g * P[S, base], r[S, base])
Q = np.where(allowed, r + g * P @ J, -np.inf)  # Q[s, u]
improved = Q.argmax(axis=1)
print("old:    ", *np.array(["down", "stay", "up"])[base])
print("rollout:", *np.array(["down", "stay", "up"])[improved])

# %% [markdown]
# The old policy knows the way over the dip. Rollout keeps that, and adds what the old policy lacks: it turns round
# before the last setting. The package does the same for systems of many states, and must agree:

# %%
assert (rollout_table(mdp, base) == improved).all()

# %% [markdown]
# What is each worth, from setting 0? The *optimum*, the best policy that there is, stands beside them for comparison.


# %%
def value(policy):
    return np.linalg.solve(np.eye(12) - g * P[S, policy], r[S, policy])[0]


best = policy_iteration(mdp)
greedy = np.where(mdp.feasible, r, -np.inf).argmax(axis=1)
rows = dict(greedy=greedy, old=base, rollout=improved, optimum=best.policy)
for name, policy in rows.items():
    print(f"{name:8} {value(policy):6.2f}")

# %% tags=["remove-cell"]
for name, policy in rows.items():
    results.value(name, value(policy), unit="reward")
share = (value(improved) - value(base)) / (best.value[0] - value(base))
results.value("share", share)
worth = [[name, round(float(value(policy)), 2)] for name, policy in rows.items()]
results.table("worth", ["policy", "reward from setting 0"], worth)

# %% [markdown]
# One step of rollout brings {res}`00_ten_minutes/share:.0%` of the way from the old policy
# ({res}`00_ten_minutes/old:.2f:bare`) to the optimum ({res}`00_ten_minutes/optimum:.2f:bare`). It is not the optimum: at
# setting 9 it stays. Why? *Up* would earn the best cycle at once, and then the old policy runs on to setting 11. *Stay*
# puts that off by a cycle. In the next cycle the same reasoning says *stay* again, and so on for ever.
#
# Use rollout again, on the improved policy, and that is repaired, too. Repeating it until nothing changes is
# {term}`policy iteration`; that is how the optimum was found.
#
# ```{admonition} Why rollout never makes it worse
# :class: tip
# Follow the old policy but take rollout's action once, now: by its choice you get at least $J(s)$. Taking it once more
# in the next cycle cannot hurt for the same reason; nor can the third time. So rollout is worth at least $J$ everywhere,
# *on the system on which J was computed*. On another one nothing is promised, and much of this book is about that.
# ```
#
# ## Rollout in ten lines, by simulation
#
# Most systems have too many states for a table. But if you can simulate one, you can ask rollout's question by trying:
# take each action, follow the old policy, look what you get, repeat, and average.
#
# A simulator needs two functions. `disturbance` draws the luck `w` of a cycle: here the coin, and whether the move
# happens. `transition(x, u, w)` steps from the states `x` with the actions `u` and that luck. It draws nothing itself. Both work on
# many copies at once, the *lanes*: below there are `paths` of them for each action. (`u[:, None]` is there because
# other systems have several controls; this one has one.)


# %%
def rollout(place, rng, steps=60, paths=100):
    actions = np.flatnonzero(allowed[place])
    u = np.repeat(actions, paths)  # the first action of each lane
    x, returns = ToyState(np.full(len(u), place)), 0.0
    for t in range(steps + 1):  # the action, then `steps` of the old policy
        w = np.tile(world.disturbance(rng, (paths,)), (len(actions), 1))
        step = world.transition(x, u[:, None], w)
        returns = returns + g**t * step.reward
        x, u = step.state, base[step.state.place]  # the old policy
    return actions[returns.reshape(-1, paths).mean(axis=1).argmax()]


# %%
tried = [rollout(place, np.random.default_rng(seed)) for place in range(12)]
print("the same action in", (tried == improved).sum(), "of 12 settings")

# %% [markdown]
# The line with `tile` is worth a second look: all actions meet **the same luck**. Two of them then differ by what they
# do, and not by what happened to them.
#
# And the simulation stops after sixty cycles of the old policy. What comes later counts less than $0.95^{60}$, a twentieth, and
# we leave it out. This is {term}`truncated rollout`. The package's rollout works like that, too:

# %%
old = TablePolicy(world, base)
simulated = TruncatedRollout(world, old, np.random.default_rng(seed),
                             horizon=60, samples=100)  # fmt: skip
chosen = simulated.predict(world.observe(world.states()))[0][:, 0]
assert (chosen == tried).mean() > 0.9

# %% [markdown]
# ## Play it
#
# Twenty episodes of sixty cycles for each policy. Episode number three, say, meets the same luck under all of them: they
# are *paired*. So we may subtract them one by one.

# %%
policies = {"greedy": TablePolicy(world, greedy), "old": old,
            "rollout": TablePolicy(world, improved)}  # fmt: skip
played = {name: simulate(world, policy, range(seed, seed + 20))
          for name, policy in policies.items()}  # fmt: skip

# %% tags=["remove-cell"]
gain = bootstrap((played["rollout"].rewards - played["old"].rewards).mean(axis=1), seed=seed)
how = "bootstrap over 20 paired episodes"
results.value("gain", gain.value, gain.low, gain.high, n=20, unit="reward per cycle", how=how)

# %% mystnb={"image": {"alt": "Two panels over sixty cycles. Above, the mean setting: greedy stops at 3, the old policy ends at 11, rollout at 9. Below, the reward collected so far: the old policy and rollout fall behind greedy while they cross the dip, overtake it, and rollout ends highest."}, "figure": {"caption": "Mean of twenty episodes. Crossing the dip costs first and pays later; rollout stops where it pays."}}
figure, panels = plt.subplots(2, 1, figsize=(6.4, 4.2), sharex=True)
colours = {"greedy": "#9E9E9E", "old": "#D55E00", "rollout": "#0072B2"}
for name, episodes in played.items():
    place = episodes.metrics["place"].mean(axis=0)
    earned = episodes.rewards.mean(axis=0).cumsum()
    panels[0].plot(place, color=colours[name], label=name)
    panels[1].plot(earned, color=colours[name])
panels[0].set_ylabel("setting")
panels[1].set(xlabel="cycle", ylabel="reward so far")
panels[0].legend()
plots.provenance_line(figure, results.record)

# %% [markdown]
# In these episodes rollout earns {res}`00_ten_minutes/gain:.2f:interval` more than the old policy. The brackets hold a 95 %
# interval: how far the mean may be off, as it rests on twenty episodes only ({doc}`how it is computed <../book/statistics>`).
#
# ## What it cannot repair
#
# Let the old policy be another: *go to setting 3 and stay*. Asked what lies behind the dip, it can only say: "we would
# walk back". So at setting 3 no single move ever looks good.

# %%
timid = np.array([up, up, up, stay] + [down] * 8)
for k in range(7):
    print(k, "rounds of rollout:", round(value(timid), 2))
    timid = rollout_table(mdp, timid)

# %% tags=["remove-cell"]
timid, rounds = np.array([up, up, up, stay] + [down] * 8), 0
while value(timid) < best.value[0] - 1e-6:
    timid, rounds = rollout_table(mdp, timid), rounds + 1
results.value("rounds", rounds)

# %% [markdown]
# It takes {res}`00_ten_minutes/rounds` rounds until the news of the far hill has come back to setting 3. Rollout improves
# a base policy; it does not replace a bad one. *What you start from decides what one step can do.*
#
# ## What we assumed
#
# - We knew the system. From {doc}`02_system_models` on it is learned from measurements, and then the plan is as good as
#   they are.
# - The controller saw the setting without error, and what it did yesterday left no queue behind.
#
# ## Exercises

# %% [markdown]
# ````{exercise}
# :label: ex-ten-warm
# **Warm-up.** Let the discount be 0. Which policy is rollout then, whatever the base?
# ````
#
# ````{solution} ex-ten-warm
# :class: dropdown
# $Q(s, u) = r(s, u)$: the greedy one. The future does not count, so neither does the base.
# ````
#
# ````{exercise}
# :label: ex-ten-derive
# **Derive.** What is *stay at setting 10* worth, from setting 10? Use a geometric series. Do failing moves matter?
# ````
#
# ````{solution} ex-ten-derive
# :class: dropdown
# Each cycle pays 1, so $1 + 0.95 + 0.95^2 + \dots = 1/(1 - 0.95) = 20$. A move that fails leaves you where you are, and
# who stays is where he is anyway: failing moves do not matter.
# ````
#
# ````{exercise}
# :label: ex-ten-second
# **Program.** Apply the three lines again, to `improved`. Which settings change their action, and is it the optimum?
# ````
#
# ````{solution-start} ex-ten-second
# :class: dropdown
# ````

# %% tags=["solution"]
J = np.linalg.solve(np.eye(12) - g * P[S, improved], r[S, improved])
again = np.where(mdp.feasible, r + g * P @ J, -np.inf).argmax(axis=1)
print("changed at settings", *np.flatnonzero(again != improved))
assert abs(value(again) - best.value[0]) < 1e-6

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-ten-two
# **Program.** Write rollout with *two* base policies: from the next cycle on follow the one that is worth more there.
# Give it `timid` and *go up, and stay at the top*. Is it ever worse than either?
# ````
#
# ````{solution-start} ex-ten-two
# :class: dropdown
# The value after the first action is the larger of the two.
# ````

# %% tags=["solution"]
bases = [np.array([up, up, up, stay] + [down] * 8), base]
values = [np.linalg.solve(np.eye(12) - g * P[S, b], r[S, b])
          for b in bases]  # fmt: skip
best_of = np.maximum(*values)
both = np.where(mdp.feasible, r + g * P @ best_of, -np.inf).argmax(axis=1)
assert value(both) >= max(v[0] for v in values) - 1e-9
print(value(both).round(2))

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-ten-luck
# **Predict, then run.** Replace `tile` by fresh luck for every action (`world.disturbance(rng, (len(u),))`). In how many
# of the twelve settings will ten paths still find rollout's action?
# ````
#
# ````{solution-start} ex-ten-luck
# :class: dropdown
# The noise of the pay is plus or minus one in every cycle, and sixty cycles of it hide differences of a few tenths.
# ````


# %% tags=["solution"]
def unpaired(place, rng, steps=60, paths=10):
    actions = np.flatnonzero(mdp.feasible[place])
    u = np.repeat(actions, paths)
    x, returns = ToyState(np.full(len(u), place)), 0.0
    for t in range(steps + 1):
        step = world.step(x, u[:, None], rng)
        returns = returns + g**t * step.reward
        x, u = step.state, base[step.state.place]
    return actions[returns.reshape(-1, paths).mean(axis=1).argmax()]


# %% tags=["solution"]
fresh = [unpaired(s, np.random.default_rng(seed)) for s in range(12)]
same = [rollout(s, np.random.default_rng(seed), paths=10)
        for s in range(12)]  # fmt: skip
print((fresh == improved).sum(), "against", (same == improved).sum())
assert (fresh == improved).sum() < (same == improved).sum()

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-ten-open
# **Open.** Think of a system that you know. What is its *old policy*, and what would it say about a place where it never
# goes?
# ````
#
# ````{solution} ex-ten-open
# :class: dropdown
# There is no single answer. A timetable, a thermostat, a rule of thumb: each is a base. Where it never goes, its answer
# is "I would walk back", and one step of rollout will believe it.
# ````
#
# ## Recap
#
# - Rollout: one other action now, the old policy after it; take the best.
# - Three lines with a table, ten with a simulator; give all actions the same luck.
# - It is never worse than its base, on the system that it was computed on; and it is blind where its base is.
#
# ## Further reading
#
# Bertsekas {cite}`bertsekas2021rollout`, chapter 1; in shorter form {cite}`bertsekas2022lessons`.

# %%
_ = results.write()
