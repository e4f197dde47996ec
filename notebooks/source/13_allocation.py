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
# # Allocation
#
# **After this chapter you can**
#
# - tell a problem in which nothing moves, which a linear programme solves, from one that needs a look ahead;
# - write rollout with a candidate set in ten lines, for 3,125 joint actions of which 130 are tried;
# - judge rollout beside fairness rules, linear programmes and PPO, and say *ahead*, *behind* or *undecided*;
# - report the risk of a policy, and refuse to where the episodes are too few.
#
# **You need** the chapter {doc}`12_edge_placement`. The quick profile takes about a minute on one core, the full one about twenty minutes on two. All data are simulated.
#
# ## The question
#
# Five services share a cluster with three resources. A job of any service needs a slot, a slot holds a bundle of CPU, memory and bandwidth, and what fits together depends on all three. Demand swings through the day and bursts without notice.
# This is the home ground of the linear programme: prices, capacities and expected demand are numbers, and the programme is solved in milliseconds. *Is it the tool here? And does rollout, which knows nothing of linear programmes, come near?*
#
# ## First the published problem
#
# A published environment {cite}`kryptologyst` asks for the shares of three resources for five tasks. Demands and capacities are drawn once per episode, cost and priority are hidden from the agent. Nothing moves: the same numbers come a hundred times. So one question decides everything:
# *is the best allocation hard to find?*

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
seed: int = 0  # of the example
instances: int = 200  # of the published problem
logs: int = 10  # independent logs, each judged on days of its own
days: int = 2  # days per log
changes: list = ["heavier", "halved", "swapped"]
samples: int = 32  # futures of a rollout
price_rounds: int = 40  # steps in which the bound by prices is brought down
ppo_steps: int = 30_000  # of training before the change
risk_days: int = 400  # episodes on which tails are measured
jobs: int = 2  # processes

# %%
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

# %%
from netrollout import batch, plots, world
from netrollout.evaluate import cvar, simulate, t_interval
from netrollout.experiment import episodes, run
from netrollout.makers import make_policy
from netrollout.results import Results
from netrollout.rollout import TruncatedRollout
from netrollout.rollout.truncated import feasible_actions
from netrollout.seeding import spawn

# %%
from netrollout.studies import static_allocation as published
from netrollout.systems.allocation.policies import exchanges
from netrollout.systems.allocation.prices import price_bound
from netrollout.systems.allocation.rules import (
    DominantShare,
    Lp,
    Proportional,
    Rule,
    known_arrivals,
)  # fmt: skip
from netrollout.types import InputError

# %% tags=["remove-cell"]
plots.use_style()
asked = dict(seed=seed, instances=instances, logs=logs, days=days,
             changes=changes, samples=samples,
             price_rounds=price_rounds, ppo_steps=ppo_steps,
             risk_days=risk_days, jobs=jobs)  # fmt: skip
results = Results("13_allocation", profile, asked)


def note(name, e, unit="reward", how=f"t interval over {logs} logs, each with {days} days of its own"):
    """Record an estimate."""
    results.value(name, e.value, e.low, e.high, n=e.n, unit=unit, how=how)
    return e


# %% [markdown]
# Fill the cheapest resource with the task that pays most, then go on: a greedy rule that needs to know costs and priorities. Beside it the linear programme (HiGHS), the same rule without the hidden numbers, an even split, and nothing:

# %%
family = [published.instance(seed + k) for k in range(instances)]
n, fill = published.TASKS, published.greedy_shares
split = [np.tile(one.there / n, (n, 1)) for one in family]
worth_of = {
    "linear programme": [published.best_shares(one)[0] for one in family],
    "greedy, costs and priorities known": [
        fill(one, one.cost, one.priority) for one in family],
    "greedy on what is seen": [fill(one) for one in family],
    "even split": split,
    "nothing": [0.0 * a for a in split],
}  # fmt: skip

# %%
static = {name: np.array([published.shaped_return(a, one)
                          for a, one in zip(of, family, strict=True)])
          for name, of in worth_of.items()}  # fmt: skip
for name, returns in static.items():
    print(f"{name:36s}{returns.mean():7.2f}")
best, greedy = (static[name] for name in list(static)[:2])
assert np.allclose(best, greedy, atol=1e-6)
seen = static["greedy on what is seen"]
assert best.mean() > seen.mean() > static["even split"].mean()

# %% tags=["remove-cell"]
how = f"t interval over {instances} instances"
for name, word in zip(static, ("programme", "greedy", "seen", "split", "nothing"), strict=True):
    note(f"static.{word}", t_interval(static[name]), how=how)
note("static.hidden", t_interval(best - seen), how=how)

# %% [markdown]
# Greedy with the hidden numbers *is* the optimum of the programme, on every one of the instances. Knowing them is worth {res}`13_allocation/static.hidden:.2f:interval` of a return of {res}`13_allocation/static.programme:.1f`. There is nothing to plan and next to nothing to learn here, so we keep the task and change the problem.
#
# ## The system in one look
#
# | | |
# |---|---|
# | state | cycle of the day; jobs waiting; slots granted in the last cycle; resources that have failed; jobs that came; which services are in a burst (hidden, told by what came) |
# | control | for each of 5 services 2 slots fewer to 2 more, 0 to 12: $5^5=3125$ joint actions; a new slot serves from the next cycle |
# | disturbance | Poisson arrivals (mean 3, daily swing .5, times 2.4 in bursts, .75 else); a resource fails (.02 per cycle) and loses half, until it is repaired (.12) |
# | response | a slot of service $i$ holds $(.9,.2,.3)$, $(.3,.8,.2)$, $(.2,.3,.9)$, $(.6,.5,.2)$ or $(.3,.4,.6)$ of (CPU, memory, bandwidth), of which there are 10 each; it serves a job per cycle; asking for more is cut |
# | reward | 10, 8, 9, 6, 5 cents per job done, minus the same per job turned away; minus 1.5, 1 and 1.25 cents per unit held; minus 1.5 cents per job waiting beyond 8, 8, 8, 40, 40; minus 2 cents per slot added and 5 per unit asked beyond the capacity |
# | change | `heavier`: service 3 needs twice its bundle; `halved`: half of the bandwidth is gone for good; `swapped`: priorities reversed |
# | plant | the system with its true numbers |
# | model | the same equations; bundles, capacities, priorities are told, arrivals and failures learned from a log: four days before the change, two after |
# | source | ours, in the place of the static problem above |
#
# A day has 96 cycles, the discount factor is .99.
#
# ## One decision, by hand
#
# The base policy is *demand-proportional*: everybody gets the same share of what would serve the jobs that wait and come. It never looks ahead. We try to improve it. With 3,125 joint actions the candidates are a choice: the base's action with one service changed, exchanges between two services, and what three rules would do (dominant-resource fairness, the programme of one cycle, hold).

# %%
worlds = world("allocation", phase="after", change="halved", seed=seed)
plant, model = worlds.plant, worlds.model
base = Proportional(model)
candidates = exchanges((DominantShare(model), Lp(model, 1), Rule(model)))
x = plant.initial(spawn(0), 1)
day = plant.disturbance(spawn(2000, "disturbance"), (plant.horizon,))


# %%
def worth(x, u, w):
    """First u, then the base policy, on futures w."""
    lanes, total = batch.repeat(x, w.shape[1]), 0.0
    u = np.tile(u, (w.shape[1], 1))
    for t, now in enumerate(w):
        if t:
            u = base.predict(model.observe(lanes))[0]
        step = model.transition(lanes, u, now)
        total = total + model.discount**t * step.reward
        lanes = step.state
    return total


# %%
def decide(x, w):
    u = base.predict(model.observe(x))[0]
    tried = candidates(model, x, u, None)
    tried = tried[0, feasible_actions(model, x, tried)[0]]
    by_base = worth(x, u[0], w)
    gain = [(worth(x, other, w) - by_base).mean() for other in tried]
    best = tried[np.argmax(gain)] if max(gain) > 0 else u[0]
    return best, len(tried)


# %% [markdown]
# Three cycles of one day by this code, and by the package with the same stream of futures (8 cycles after the first, here 8 futures each):

# %%
package = TruncatedRollout(model, base, spawn(seed, "page"), horizon=8,
                           samples=8, candidates=candidates)  # fmt: skip
rng = spawn(seed, "page")
for now in day[:3]:
    seen = model.state_of(model.observe(x))
    u, number = decide(seen, model.disturbance(rng, (9, 1, 8))[:, 0])
    its, _ = package.predict(model.observe(x))
    assert (its[0] == u).all()
    print(number, "candidates; slots", x.slots[0], "change by", u - 2)
    x = plant.transition(x, u[None], now[None]).state

# %% [markdown]
# ## Two bounds and the best constant
#
# A linear programme over the *whole* known day, with divisible slots that may be given back at once, bounds every policy from above. It is generous: it knows every burst. A tighter one comes from *prices*: let each service pay for what it holds in each cycle, and the capacities may be forgotten; the services part,
# each is a small dynamic programme, and for any prices the sum is a bound (of the mean over all days). Prices that make it small are found by subgradients: too much is asked, the price rises. At the other end stands the best constant allocation of the new system.


# %%
def days_of(log):
    """Return the days that a log is judged on; no two logs share one."""
    return range(2000 + days * log, 2000 + days * (log + 1))


def bound(worlds, log):
    system = worlds.plant
    draws = [system.disturbance(spawn(d, "disturbance"), (system.horizon,))
             for d in days_of(log)]  # fmt: skip
    best = [known_arrivals(system, w) for w in draws]
    return {"mean_reward": np.array(best)}


def constant(worlds):
    return make_policy("static", replace(worlds, base=worlds.plant))


# %%
def at(change, log):
    if change == "none":
        return world("allocation", phase="before", seed=log)
    return world("allocation", phase="after", change=change, seed=log)


every = ["none", *changes]
rules = {
    "best constant of the new system": constant,
    "demand-proportional": "retrain(proportional)",
    "dominant-resource fairness": "retrain(drf)",
    "most valuable first": "retrain(priority)",
}

# %%
look = f"retrain(proportional), samples={samples}"
planners = {
    "programme of 1 cycle": "retrain(lp(horizon=1))",
    "programme of 8 cycles": "retrain(lp)",
    "programme of 8, old model": "lp",
    "PPO, old": f"ppo(steps={ppo_steps})",
    "rollout, one service at a time": f"multiagent({look}, horizon=8)",
    "rollout, exchanges": f"rollout({look}, rules=false)",
    "rollout, exchanges and rules": f"rollout({look})",
}

# %%
priced = {change: price_bound(at(change, 0).plant, price_rounds)
          for change in every}  # fmt: skip
for change, (value, prices) in priced.items():
    print(f"{change:10s}bound {value:.2f}, mean prices of CPU, memory,",
          "bandwidth", prices.mean(axis=0).round(3))  # fmt: skip

# %% [markdown]
# All rows on every log, each log on its own days; rows that say nothing else use the model of the new log:


# %%
def judged(log):
    cells = {change: partial(at, change, log) for change in every}
    limit = {"clairvoyant bound": partial(bound, log=log)}
    rows, judge = rules | planners | limit, episodes(days_of(log))
    return run(cells, rows, judge, jobs=jobs)


tables = [judged(log) for log in range(logs)]


# %%
def means(row, change):
    """Return a row's mean reward per cycle of each log, (logs,)."""
    each = [t.at(change)["mean_reward", row] for t in tables]
    return np.array([values.mean() for values in each])


def lead(row, rival, change):
    """Return the paired lead of a row over a rival, with its t interval."""
    return t_interval(means(row, change) - means(rival, change))


# %% tags=["remove-cell"]
def slug(row):
    return row.replace(",", "").replace(" ", "-")


groups = {"rules": [*rules, "clairvoyant bound"], "planners": list(planners)}
for name, rows in groups.items():
    each = {(row, c): note(f"mean.{slug(row)}.{c}", t_interval(means(row, c))) for row in rows for c in every}
    lines = [[row, *(each[row, c].value for c in every)] for row in rows]
    priced_line = ["bound by prices", *(priced[c][0] for c in every)]
    results.table(name, ["", *every], [*lines, priced_line] if name == "rules" else lines)
for change in every:
    assert all((means("clairvoyant bound", change) > means(row, change)).all() for row in rules | planners)

# %% [markdown]
# ## What rules, programmes, PPO and rollout reach
#
# ```{restable} 13_allocation/rules
# :format: .2f
# :caption: Rules: mean reward per cycle before and after each change.
# ```
#
# ```{restable} 13_allocation/planners
# :format: .2f
# :caption: Programmes, PPO and rollouts.
# ```
#
# Days differ much, so compare within a day. Paired, in favour of rollout where positive:

# %% tags=["remove-cell"]
ROLLOUT, PLAN = "rollout, exchanges and rules", "programme of 8 cycles"
rivals = ["demand-proportional", "programme of 1 cycle", PLAN, "rollout, exchanges", "rollout, one service at a time",
          "PPO, old", "best constant of the new system"]  # fmt: skip
leads = {(row, c): note(f"lead.{slug(row)}.{c}", lead(ROLLOUT, row, c)) for row in rivals for c in every}


def shown(e):
    return f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f})"


results.table(
    "lead", ["rollout (exchanges and rules) over", *every], [[r, *(shown(leads[r, c]) for c in every)] for r in rivals]
)
note("model", lead(PLAN, "programme of 8, old model", changes[0]))

# %% [markdown]
# ```{restable} 13_allocation/lead
# :caption: Paired lead of rollout with exchanges and the rules' actions, reward per cycle.
# ```

# %% tags=["hide-input"] mystnb={"image": {"alt": "For each situation, before and after the changes heavier, halved and swapped, the paired lead of rollout over demand-proportional, over the programme of one cycle, over the programme of eight cycles and over PPO, as points with intervals around a line at zero."}, "figure": {"caption": "Paired lead of rollout (exchanges and rules) over its base, the programmes and PPO; above zero rollout is ahead.", "name": "allocation-lead"}}
figure, axes = plt.subplots(figsize=(7.4, 3.2), layout="constrained")
for k, row in enumerate(["demand-proportional", "programme of 1 cycle", PLAN, "PPO, old"]):
    e = [leads[row, c] for c in every]
    axes.errorbar(np.arange(len(every)) + 0.12 * (k - 1.5), [i.value for i in e], [i.high - i.value for i in e],
                  fmt="o^s_"[k], label=f"over {row}", linewidth=1)  # fmt: skip
axes.axhline(0, color="black", linewidth=0.8)
axes.set(xticks=range(len(every)), xticklabels=every, ylabel="reward per cycle")
axes.legend(fontsize=7, ncols=2)
plots.provenance_line(figure, results.record)


# %% tags=["remove-cell"]
def word(e):
    return "ahead" if e.low > 0 else "behind" if e.high < 0 else "undecided"


for name, row in (
    ("base", "demand-proportional"),
    ("plan", PLAN),
    ("rules", "rollout, exchanges"),
    ("myopic", "programme of 1 cycle"),
):
    said = {c: word(leads[row, c]) for c in every}
    results.value(f"verdict.{name}", ", ".join(f"{c}: {what}" for c, what in said.items()))
    results.value(f"verdict.{name}.ahead", sum(what == "ahead" for what in said.values()))
    results.value(f"verdict.{name}.behind", sum(what == "behind" for what in said.values()))

# %% tags=["remove-cell"]
results.finding(
    "plan", {"verdict.plan.ahead == 0 and verdict.plan.behind > 0": "The linear programme is the tool here: nowhere is rollout ahead of the programme of 8 cycles, and it is behind somewhere ({verdict.plan}). The programme knows what rollout has to find by trying: that slots are exchanged along prices.",
             "verdict.plan.behind == 0 and verdict.plan.ahead > 0": "Rollout is ahead of the programme of 8 cycles somewhere and behind nowhere ({verdict.plan}).",
             "verdict.plan.behind == 0 and verdict.plan.ahead == 0": "Between rollout and the programme of 8 cycles nothing is decided ({verdict.plan})."},
    "Rollout and the programme of 8 cycles share the field ({verdict.plan}).")  # fmt: skip
results.finding(
    "base", {f"verdict.base.ahead == {len(every)}": "Rollout improves its base in every situation."},
    "Over its base, rollout is: {verdict.base}.")  # fmt: skip
results.finding(
    "model", {"model > 0": "The model of the new log is worth {model:.2f:interval} to the programme after the first change, with bundles, capacities and priorities that are told."},
    "The new model is not told from the old one for the programme after the first change: {model:.2f:interval}.")  # fmt: skip

# %% [markdown]
# **What the tables say.** The expectation, written before anything was measured: demand-proportional < rollout on it < programme of 8 cycles ≤ rollout with rules.
#
# - {finding}`13_allocation/base`
# - {finding}`13_allocation/plan`
# - The programme of *one* cycle is a trap: a new slot serves from the next cycle, so it sees what a slot costs and never what it brings (see the exercises).
# - The rules' actions among the candidates, against exchanges alone: {res}`13_allocation/verdict.rules`.
# - {finding}`13_allocation/model`
#
# ## Risk: how bad are bad days?
#
# A mean hides the days on which somebody is called out of bed. The conditional value at risk (CVaR) at 5 % is the mean of the worst twentieth of the days. It needs a worst twentieth: from five bad days on we compute it with its bootstrap interval, below that we refuse.

# %%
tail = range(6000, 6000 + risk_days)
cheap = {"demand-proportional": "proportional",
         "most valuable first": "priority",
         "dominant-resource fairness": "drf"}  # fmt: skip
before = world("allocation", phase="before", seed=seed)
ran = {name: simulate(before.plant, make_policy(policy, before), tail)
       for name, policy in cheap.items()}  # fmt: skip

# %%
for name, one in ran.items():
    try:
        e = cvar(one.mean_rewards(), 0.05)
        print(f"{name:28s} mean {one.mean_rewards().mean():.2f}",
              f"CVaR 5 % {e.value:.2f} ({e.low:.2f} to {e.high:.2f})",
              f"worst {one.mean_rewards().min():.2f}")  # fmt: skip
    except InputError as error:
        print(name, "|", error)
try:
    cvar(one.mean_rewards()[:40], 0.01)
except InputError as error:
    print(error)

# %% [markdown]
# The last line is the refusal: of forty days, none belongs to a worst hundredth.
#
# ## Fairness: who is served?
#
# Jain's index of the served shares is 1 where all five services have the same share of their jobs served, and 1/5 where one has all. It is computed from what the state shows:


# %%
def served(system, policy, days):
    """Return the share of each service's jobs that were done, (days, 5)."""
    w = [system.disturbance(spawn(d, "disturbance"), (96,)) for d in days]
    x, done, came = system.initial(spawn(0), len(days)), 0.0, 0.0
    for now in np.stack(w, axis=1):
        u, _ = policy.predict(system.observe(x))
        y = system.transition(x, u, now).state
        able = np.minimum(x.slots, y.slots)
        done = done + np.minimum(x.waiting + y.came, able)
        came, x = came + y.came, y
    return done / came


# %%
def jain(share):
    n = share.shape[1]
    return share.sum(axis=1) ** 2 / (n * (share**2).sum(axis=1))


# %%
fair = {}
for name, policy in cheap.items():
    made = make_policy(f"retrain({policy})", worlds)
    share = fair[name] = served(plant, made, range(2000, 2010))
    index, each = jain(share).mean(), share.mean(axis=0).round(2)
    print(f"{name:28s} Jain {index:.3f}, shares", each)

# %% tags=["remove-cell"]
note(
    "jain.gap",
    t_interval(jain(fair["demand-proportional"]) - jain(fair["most valuable first"])),
    None,
    "t interval over 10 days",
)
results.finding(
    "jain", {"jain.gap > 0": "With half the bandwidth, serving the most valuable first is less fair than sharing by demand, by {jain.gap:.3f:interval} of Jain's index."},
    "Fairness of the two rules is not told apart in this direction: {jain.gap:.3f:interval}.")  # fmt: skip

# %% [markdown]
# {finding}`13_allocation/jain` Nobody paid for fairness here; where it matters it belongs into the reward.
#
# ## The published claims

# %% tags=["remove-cell"]
results.claim("allocation-static-optimum", "kryptologyst", "Learners are set to find allocations that heuristics miss.", "five tasks, three resources, nothing moves",
              "refuted", "On every instance of our family, drawn by the published rules, the greedy rule that knows costs and priorities has the return of the linear programme: there is nothing beyond it to be found.",
              measured="static.hidden")  # fmt: skip
results.claim("allocation-comparison", "kryptologyst", "Algorithms are compared by learning curves, ablations and tail events.", "named, no numbers of runs",
              "not testable here", "No run, seed or table of results is published.")  # fmt: skip
_ = results.write()

# %% [markdown]
# They stand in the {doc}`ledger <../book/ledger>`.
#
# ## What we assumed
#
# - The system is simulated and ours; bundles, capacities and priorities are told after a change, only arrivals and failures are learned.
# - Each log has its own days, so that the intervals hold both: another log, and other days.
# - PPO is trained before the change only, on the budget of the parameters cell.
# - The clairvoyant bound knows the whole day, the bound by prices each burst; the distance to them is not all to be had. The latter holds for the mean over all days, not for the days that were judged.
#
# ## Exercises
#
# ````{exercise}
# :label: ex-allocation-1
# **Predict, then run.** Take away the rules' actions and the exchanges and let one service change at a time. How many candidates are left, and can such a rollout swap a slot of service 1 for one of service 3 in one cycle when the cluster is full?
# ````
#
# ````{solution-start} ex-allocation-1
# :class: dropdown
# ````

# %% tags=["solution"]
# At most 5 x 4 other settings.  No: adding alone does not fit, and taking
# away alone has to pay by itself.  That is why exchanges are candidates.
x = model.initial(spawn(0), 1)
alone = int(model.feasible(x).sum()) - 5
u = base.predict(model.observe(x))[0]
more = exchanges()(model, x, u, None).shape[1]
print(alone, "single changes,", more, "with exchanges")
assert alone <= 20

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-allocation-2
# **Program.** Show on twenty instances of the published problem that an allocation beyond what is there is never worth it: add .05 to every share of the optimum.
# ````
#
# ````{solution-start} ex-allocation-2
# :class: dropdown
# ````

# %% tags=["solution"]
for one in family[:20]:
    a, value = published.best_shares(one)
    assert published.reward(a + 0.05, one)[0] < value
print("an excess costs ten times its square")

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-allocation-3
# **Program.** Judge `rollout` around dominant-resource fairness, too, a quarter of a day and four futures each. Why not around the programme of one cycle?
# ````
#
# ````{solution-start} ex-allocation-3
# :class: dropdown
# ````

# %% tags=["solution"]
short = replace(plant, horizon=24)
there = replace(worlds, plant=short)
options = "horizon=4, samples=4, rules=false"
for name in ("retrain(proportional)", "retrain(drf)"):
    for policy in (name, f"rollout({name}, {options})"):
        ran_short = simulate(short, make_policy(policy, there), [2000])
        print(policy, ran_short.mean_rewards().round(2))
# The programme as a base is solved for each lane of each future: write its
# name and wait.  A base inside a rollout has to be cheap.

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-allocation-4
# **Design.** The set-up of a slot is taken away (`setup=0`). What should happen to the lead of 8 cycles over 1? Measure on a day.
# ````
#
# ````{solution-start} ex-allocation-4
# :class: dropdown
# ````

# %% tags=["solution"]
for setup in (0, 1):
    free = world("allocation", phase="before", setup=setup, seed=seed)
    made = [make_policy(f"lp(horizon={h})", free) for h in (8, 1)]
    far, near = (simulate(free.plant, policy, [2000]).mean_rewards()
                 for policy in made)  # fmt: skip
    print("setup", setup, "lead of 8 over 1:", (far - near).round(2))
# With a set-up, a programme of one cycle sees the cost of a new slot and
# none of its use.

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-allocation-5
# **Break it.** Compute the CVaR at 5 % of twenty days by hand and its spread over ten such samples. Why is it refused?
# ````
#
# ````{solution-start} ex-allocation-5
# :class: dropdown
# ````

# %% tags=["solution"]
rewards = ran["demand-proportional"].mean_rewards()
worst = [spawn(seed, "twenty", k).choice(rewards, 20).min()
         for k in range(10)]  # fmt: skip
print("the one worst day of twenty:", np.round(worst, 2))
assert np.std(worst) > 0.05

# %% [markdown]
# ````{solution-end}
# ````
#
# ````{exercise}
# :label: ex-allocation-6
# **Prove.** Why does the programme over the known day bound every policy, although slots are whole and may not be given back at once?
# ````
#
# ````{solution} ex-allocation-6
# :class: dropdown
#
# Every path of a policy (whole slots, reach of two, what was served, what waited) fulfils all constraints of the programme, and its reward is at most the programme's objective there, which leaves out the fines for asking too much. So the maximum over the larger set is at least the reward of that path, and this on each day, hence in the mean.
# ````
#
# ## Recap
#
# - Ask first whether anything moves. The published problem is a linear programme, and greedy solves it.
# - {finding}`13_allocation/base` {finding}`13_allocation/plan`
# - Candidates are where knowledge enters a rollout: exchanges, and what the rules would do.
# - A tail needs episodes. Refuse a CVaR that has none.
#
# ## Further reading
#
# Ghodsi et al. {cite}`ghodsi2011drf` for dominant-resource fairness; Bertsekas {cite}`bertsekas2021rollout` for rollout with several base heuristics; Brown, Smith and Sun {cite}`brown2010information` for bounds by known futures.
