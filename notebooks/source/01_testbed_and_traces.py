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
# # The testbed and its traces
#
# **After this chapter you can**
#
# - say what a small real service mesh consists of, which of its parts we turn and which we measure;
# - measure a window yourself, and read a trace: configurations, visits, windows;
# - split the noise of a measurement into what differs between visits and what differs between windows;
# - state the rule by which we fixed the bound on the response time and the size of the change, and recompute it.
#
# **You need** a first course in statistics. The chapter runs in about half a minute, most of it the live measurement.
#
# ## The question
#
# A service answers requests. You may run it on more or fewer workers and send more or less of its traffic to each of
# two nodes. How long does a request take, and how sure can you be after watching for two seconds? Everything later in
# this book is decided on the answer, so we begin by measuring it on a mesh that really runs.

# %% tags=["parameters"]
profile: str = "full"  # which profile runs; the workflow sets it
source: str = "testbed"  # recorded only: this chapter reads the shipped traces, and the published ones where fetched
seed: int = 0  # of the live mesh and of the bootstrap
live_windows: int = 3  # windows of 2 s per live configuration; 0 measures nothing
draws: int = 4000  # bootstrap resamples

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from netrollout import plots
from netrollout.evaluate import bootstrap
from netrollout.models.queueing import erlang_c
from netrollout.results import Results
from netrollout.studies.rule import bound_by_rule, feasible_share
from netrollout.systems.mesh.scenario import load_scenario
from netrollout.testbed import EnvoyMissing, Mesh, MeshError
from netrollout.traces import configurations, kth_available, read_kth, response_times, shipped, trace_files

# %%
plots.use_style()
names = ["mesh/s2_before", "mesh/pilot_125", "mesh/pilot_150"]
asked = dict(source=source, seed=seed, live_windows=live_windows, draws=draws)
results = Results("01_testbed_and_traces", profile, asked, data=trace_files(*names))

# %% [markdown]
# ## The mesh
#
# A load generator sends requests to **Envoy** {cite}`envoy`, the proxy that meshes such as Istio {cite}`istio` are made
# of. Envoy draws for every request one of two **nodes**. A node is one queue with $c$ worker processes behind it; each
# worker may use a fifth of a core and is put to sleep by force when it has used up its quota. The work is real
# computing, its amount exponentially distributed.
#
# | symbol | control or measurement | unit |
# |---|---|---|
# | $p$ | routing weight: share of requests that goes to node 1 | |
# | $c$ | workers of node 1; node 2 has one | |
# | $b$ | blocking rate: share of requests that Envoy turns away at once (0 in this scenario) | |
# | $l$ | offered load | requests/s |
# | $d$ | mean response time of the requests completed in a window | s |
#
# ### Live
#
# The next cell starts the mesh, tries three configurations, and stops it. What you see was measured when the page was
# made, on the machine that made it; no later number depends on it.

# %%
rows = []
try:
    with Mesh({"compute": 0.008}, seed=seed) as mesh:
        mesh.load({"compute": 20.0})
        for p, c in [(0.0, 1), (0.6, 1), (0.8, 3)] if live_windows else []:
            mesh.set(p={"compute": p}, c={1: c})
            mesh.wait(0.5)
            rows += [mesh.window(2.0) for _ in range(live_windows)]
except (EnvoyMissing, MeshError) as error:
    results.not_run("live", str(error).rstrip("."))
    rows = []

# %%
columns = ["p_compute", "c_1", "l_compute", "d_compute", "n_compute", "busy_1", "busy_2", "fault"]
if rows:
    measured = pd.DataFrame(rows)[columns].round(4)
    results.table("live.windows", columns, measured.to_numpy().tolist(), live=True)
elif "live" not in results.record["not_run"]:
    results.not_run("live", "live_windows is 0")
print(measured.to_string() if rows else "not run here: " + results.record["not_run"]["live"])

# %% [markdown]
# ```{restable} 01_testbed_and_traces/live.windows
# :caption: Windows measured while this page was made.
# ```
#
# Each line is one window of two seconds: loads in requests/s, `d_compute` in s, `busy` the share of the workers' time
# in use. Lines of one configuration differ. That is the noise we shall have to live with, and the rest of this chapter measures it.
#
# ### Open loop, closed loop
#
# Our generator is an **open loop**: it sends at the times of a Poisson process whether or not earlier requests have
# been answered, as a crowd of independent users does. In a **closed loop** each of $N$ clients waits for its answer
# before it asks again. By Little's law its throughput $X$ and response time $d$ obey $N = X d$, so a slow service is
# simply asked less often: $d$ can never exceed $N$ times the mean time per request of a single server, however
# overloaded it is. Load tests that close the loop without meaning to therefore look best where the system is worst.
# An open loop in overload has no such mercy: the queue grows without limit, until requests meet the timeout.
#
# ## Reading a trace
#
# The shipped trace `mesh/s2_before` is a whole campaign of such windows. A **configuration** is one setting $(p, c)$.
# A **visit** is one stay in it: the mesh is drained, set, given half a second, and watched for five **windows**. Every
# configuration is visited three times, all visits in random order, so that a slow drift of the machine cannot pass for
# an effect of the controls.

# %%
trace = shipped("mesh/s2_before")
frame = response_times(trace)
print({key: trace.header[key] for key in ("machine", "collected", "window", "quota", "demand_compute", "remeasured")})
results.value("configurations", frame.groupby(["p_compute", "c_1"]).ngroups)
results.value("visits", frame["visit"].nunique())
results.value("windows", len(frame))
results.value("timeouts", int(frame["timeout_compute"].sum()), unit="requests")
frame[["visit", "window", "p_compute", "c_1", "l_compute", "d_compute", "d_compute_p99", "n_compute"]].head(6)

# %% [markdown]
# There are {res}`01_testbed_and_traces/configurations` configurations, {res}`01_testbed_and_traces/visits` visits and
# {res}`01_testbed_and_traces/windows` windows. {res}`01_testbed_and_traces/timeouts` ran into the timeout of five
# seconds. Had a window admitted requests and completed none, its $d$ would be missing, and leaving it out would throw
# away the *worst* windows. `response_times` gives such a window the timeout instead, which still understates it.

# %% mystnb={"image": {"alt": "Heat map of the mean response time over routing weight p and workers c of node 1. Times are longest at the left edge, where all requests go to node 2, and in the corner with all requests on one worker of node 1."}}
grid = 1000 * frame.groupby(["c_1", "p_compute"])["d_compute"].mean().unstack()
figure, axes = plt.subplots(figsize=(6.5, 3.6))
plots.grid_map(axes, grid, list(grid.columns), list(grid.index), "mean response time (ms)", digits=0)
axes.set(xlabel="routing weight p to node 1", ylabel="workers c of node 1")
plots.provenance_line(figure, results.record)
results.value("fastest", float(grid.min().min()), unit="ms")
results.value("slowest", float(grid.max().max()), unit="ms")
plt.show()

# %% [markdown]
# Read a column from below: more workers help, a lot at first and then hardly. At $p = 0$ node 1 has nothing to do, and
# what differs up that column is noise alone. Read a row from the left: taking load off the single worker of node 2
# helps until node 1 is the busy one. The configurations span
# {res}`01_testbed_and_traces/fastest:.0f` to {res}`01_testbed_and_traces/slowest:.0f`.
#
# ### Two equations that explain the picture
#
# Let requests arrive at rate $\lambda$ (requests/s) at a node with $c$ workers, each of which holds a request for
# $\tau$ seconds on average. The offered work is $a = \lambda\tau$ and the utilisation $\rho = a/c$. If arrivals are
# Poisson and times exponential, the probability that a request must wait is **Erlang's C formula**, and for general
# times the mean wait is close to
#
# $$
# C(c, a) = \frac{\frac{a^c}{c!}\frac{1}{1-\rho}}{\sum_{k=0}^{c-1}\frac{a^k}{k!} + \frac{a^c}{c!}\frac{1}{1-\rho}},
# \qquad
# W \approx \frac{C(c,a)}{c\,(1-\rho)}\;\tau\;\frac{1+v}{2},
# $$ (erlang)
#
# with $v$ the squared coefficient of variation of the time on a worker ($v = 1$ for exponential times). The factor
# $1/(1-\rho)$ is the whole story of overload: from half to nine tenths busy, it grows fivefold.
#
# A worker with a fifth of a core needs $\tau = 8\,\mathrm{ms}/0.2 = 40\,\mathrm{ms}$ for the mean request if it is
# throttled all the time. The prediction of {eq}`erlang` with this $\tau$, $d = p\,(\tau + W_1) + (1-p)(\tau + W_2)$,
# has no fitted number in it.

# %%
p, c = (values.ravel() for values in np.meshgrid(grid.columns, grid.index))
tau, load = 0.008 / 0.2, 20.0
waits = []
for share, workers in ((p, c), (1 - p, np.ones(len(c), dtype=int))):
    work = share * load * tau
    waits.append(erlang_c(workers, work) / (workers - work) * tau)
predicted = 1000 * (tau + p * waits[0] + (1 - p) * waits[1])
ratio = predicted / grid.to_numpy().ravel()
results.value("erlang-ratio", float(np.median(ratio)))
results.value("erlang-correlation", float(np.corrcoef(np.log(predicted), np.log(grid.to_numpy().ravel()))[0, 1]))

# %% mystnb={"image": {"alt": "Scatter plot of predicted against measured mean response time of each configuration, both axes logarithmic, with the diagonal. The points follow a rising line and lie above the diagonal."}}
figure, axes = plt.subplots(figsize=(7, 4.5))
axes.loglog(grid.to_numpy().ravel(), predicted, "o")
axes.axline((30, 30), (300, 300), color="black", linewidth=0.8)
axes.set(xlabel="measured mean response time (ms)", ylabel="Erlang's prediction (ms)")
plots.provenance_line(figure, results.record)
plt.show()

# %% [markdown]
# Each point is a configuration. The formula ranks them well (correlation of the logarithms
# {res}`01_testbed_and_traces/erlang-correlation:.2f`), and its median ratio to the measurement is
# {res}`01_testbed_and_traces/erlang-ratio:.2f`: a worker that was idle has quota in hand, so that a short request is
# done before the throttle bites, and 40 ms is an upper bound. Chapter {doc}`02_system_models` fits what is guessed here.
#
# ## What is one measurement?
#
# Windows of one visit follow each other and may share a mood of the machine. Write for the logarithm of window $w$ of
# visit $v$ in configuration $i$
#
# $$
# \log d_{ivw} = m_i + a_{iv} + e_{ivw}, \qquad \mathrm{var}\,a = \sigma_a^2, \quad \mathrm{var}\,e = \sigma_e^2 .
# $$ (components)
#
# With $W$ windows per visit, the mean square between the windows of a visit estimates $\sigma_e^2$ and that between
# visits (times $W$) estimates $\sigma_e^2 + W\sigma_a^2$; the difference gives $\sigma_a^2$. A mean over $W$ windows
# then has a variance larger than independent windows would give by the **design effect**
# $1 + (W-1)\,\sigma_a^2/(\sigma_a^2+\sigma_e^2)$.

# %%
ordered = np.log(frame.sort_values(["p_compute", "c_1", "visit", "window"])["d_compute"].to_numpy())
logs = ordered.reshape(30, 3, 5)  # configurations, visits, windows
within = logs.var(axis=2, ddof=1).mean(axis=1)
between = logs.mean(axis=2).var(axis=1, ddof=1) - within / 5
for name, values in (("window-variance", within), ("visit-variance", between)):
    estimate = bootstrap(values, draws=draws, seed=seed)
    how = "bootstrap over 30 configurations"
    results.value(name, estimate.value, estimate.low, estimate.high, n=30, how=how)
    print(f"{name}: {estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]")


# %%
def share(index):
    """Return the share of variance between visits of resampled configurations, (draws,)."""
    a, e = (values[index.astype(int)].mean(axis=1) for values in (between, within))
    return a / (a + e)


effect = bootstrap(np.arange(30.0), statistic=lambda index: 1 + 4 * share(index), draws=draws, seed=seed)
how = "bootstrap over 30 configurations"
results.value("design-effect", effect.value, effect.low, effect.high, n=30, how=how)

# %% [markdown]
# Between windows: {res}`01_testbed_and_traces/window-variance:.3f:interval`; between visits:
# {res}`01_testbed_and_traces/visit-variance:.3f:interval`. The second estimate is a difference and may come out below
# zero, which then means: *no variation between visits could be shown*. The design effect is
# {res}`01_testbed_and_traces/design-effect:.2f:interval`; at 1 the windows are as good as independent.
#
# So on this trace draining the mesh between visits did its work, and the visit is our unit out of caution rather than
# from need. It costs little: whole visits are held out and resampled by the {term}`bootstrap`. Three visits
# per configuration, taken within an hour on one machine, cannot rule out what another day would bring. And were we to
# treat windows as independent where they are not, every interval in this book would be too narrow.
#
# ## The rule that fixes bound and change
#
# A benchmark can be won by choosing its bound. We therefore fixed ours by a rule before any policy ran:
#
# 1. The bound $O$ is the median of the configurations' means before the change: half of them are feasible.
# 2. The change multiplies the mean demand of a request by the smallest of 1.25, 1.5, ... that leaves at most a fifth of
#    the configurations feasible. Two short **pilots** were measured to find it.

# %%
bound = bound_by_rule(frame, "compute")
written = load_scenario("mesh-s2").objective.bounds[0]
results.value("bound", 1000 * bound, unit="ms")
results.value("bound-written", 1000 * written, unit="ms")
steps = {"1": "mesh/s2_before", "1.25": "mesh/pilot_125", "1.5": "mesh/pilot_150"}
shares = {step: feasible_share(response_times(shipped(name)), "compute", bound) for step, name in steps.items()}
for step, value in shares.items():
    results.value(f"feasible-{step}", value)
rows = [[step, name, value] for (step, name), value in zip(steps.items(), shares.values(), strict=True)]
results.table("rule", ["demand times", "trace", "feasible share"], rows)
step = min(float(step) for step, value in shares.items() if value <= 0.2)
results.value("step", step)

# %% [markdown]
# ```{restable} 01_testbed_and_traces/rule
# :caption: The rule that fixes the size of the change
# ```
#
# The bound is {res}`01_testbed_and_traces/bound:.1f`, and the scenario file has
# {res}`01_testbed_and_traces/bound-written:.1f`. With 1.25 times the work
# {res}`01_testbed_and_traces/feasible-1.25:.0%` of the configurations still hold it, with 1.5 times
# {res}`01_testbed_and_traces/feasible-1.5:.0%`: the step is {res}`01_testbed_and_traces/step`. The pilots have one
# visit of two windows per configuration, so the shares are rough; the rule is fixed, its outcome has noise.
#
# ## The published traces beside it
#
# The KTH testbed {cite}`samani2024online` published its traces; `netrollout data fetch kth` brings them. They have
# quirks that the reader removes: a response time of 0 stands for "nothing completed", one column called *blocking*
# blocks nothing, and every configuration is visited once, so that the two variances of {eq}`components` cannot be
# told apart.

# %%
if kth_available("noms2024_scenario2_before"):
    raw = read_kth("noms2024_scenario2_before")
    results.value("kth.empty", float(raw["d_compute"].isna().mean()))
    results.value("kth.configurations", len(configurations(raw, route_timeout=20.0)))
    print(raw.groupby("visit").size().describe()[["count", "min", "max"]].to_dict())
else:
    results.not_run("kth", "the published traces have not been fetched (netrollout data fetch kth)")
    print("not run here: " + results.record["not_run"]["kth"])

# %% [markdown]
# Configurations there: {res}`01_testbed_and_traces/kth.configurations`; windows in which nothing completed:
# {res}`01_testbed_and_traces/kth.empty:.1%`.
#
# ## What we assumed
#
# - Two nodes, proxy and generator share one machine: no network delay, and some disturbance of each other. Windows in
#   which other processes took more than a quarter of a core were measured again.
# - Work at low priority was not counted as disturbance. It yields to the mesh, but is not quite free: beside it response
#   times grow somewhat.
# - Half a second after a change is enough to be stationary. Near overload a queue needs longer, so $d$ is
#   understated there.
# - Requests are independent, with exponential demands. Real traffic is burstier.
#
# ## Exercises
#
# ```{exercise}
# :label: ex-testbed-saturation
# At which offered load does the single worker of node 2 saturate if all requests go to it and $\tau = 40$ ms? How busy
# is it at 20 requests/s?
# ```
#
# ```{solution} ex-testbed-saturation
# :class: dropdown
# It saturates at $1/\tau = 25$ requests/s; at 20 requests/s $\rho = 20 \cdot 0.04 = 0.8$. The column `busy_2` of the
# trace at $p = 0$ is lower, because $\tau$ is an upper bound.
# ```
#
# ```{exercise}
# :label: ex-testbed-closed
# Replace the live load by `mesh.send("compute", 200, concurrency=4)`, which is a closed loop. Predict the largest
# possible mean response time at $p = 0$, then measure it.
# ```
#
# ```{solution} ex-testbed-closed
# :class: dropdown
# Little's law: $d = N/X$ with $N = 4$ clients. One worker serves at most $1/\tau = 25$ requests/s, so you would predict 160 ms. You will measure
# somewhat *more*, on our machine 172 ms: proxy and client need time, too, and $X$ is a little below 25. It is no bound, it is an estimate that leaves
# them out. The throughput adapts, and no timeout occurs.
# ```
#
# ```{exercise}
# :label: ex-testbed-design
# Suppose $\sigma_a^2 = \sigma_e^2$. You can afford 15 windows of a configuration. Compare one visit of 15 windows,
# three of 5, and 15 of 1, by the variance of their mean.
# ```
#
# ```{solution} ex-testbed-design
# :class: dropdown
# With $V$ visits of $W$ windows the variance is $\sigma_a^2/V + \sigma_e^2/(VW)$: in units of $\sigma_e^2$,
# $1 + 1/15 = 1.07$, then $1/3 + 1/15 = 0.40$, then $1/15 + 1/15 = 0.13$. Many short visits win, until changing the
# configuration costs more time than measuring it.
# ```
#
# ```{exercise}
# :label: ex-testbed-mood
# **Program.** Give every visit a mood: add to the logarithms of its windows one normal number of variance $\sigma_e^2$. Does the cell above find it?
# ```
#
# ```{solution-start} ex-testbed-mood
# :class: dropdown
# The difference of mean squares is near the variance that was put in, and the design effect near $1 + 4/2 = 3$.
# ```

# %% tags=["solution"]
mood = np.random.default_rng(seed).normal(size=(30, 3, 1))
moody = logs - logs.mean(axis=2, keepdims=True) + mood * np.sqrt(within.mean())
inside = moody.var(axis=2, ddof=1).mean()
across = moody.mean(axis=2).var(axis=1, ddof=1).mean()
found_again = 1 + 4 * across / (across + inside)
print(f"design effect {found_again:.1f}")
assert 2 < found_again < 4

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise}
# :label: ex-testbed-erlang
# **Program.** How many workers does node 1 need for $\lambda = 60$ requests/s, $\tau = 40$ ms, and a mean wait below 10 ms? Use `erlang_c`.
# ```
#
# ```{solution-start} ex-testbed-erlang
# :class: dropdown
# The offered work is $60 \cdot 0.04 = 2.4$; three workers would be busy eight tenths of the time and make requests wait too long.
# ```

# %% tags=["solution"]
work, wait = 60 * 0.04, {}
for workers in range(3, 9):
    chance = erlang_c(np.array([workers]), np.array([work]))[0]
    wait[workers] = chance / (workers - work) * 0.04
    print(workers, f"{1000 * wait[workers]:.1f} ms")
assert min(c for c, w in wait.items() if w < 0.01) == 4

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise}
# :label: ex-testbed-open
# **Open.** You may measure for one hour. Which settings, how many visits, how many windows a visit? What would change your mind?
# ```
#
# ```{solution} ex-testbed-open
# :class: dropdown
# There is no single answer. Many short visits in random order, of all settings that a policy may meet; fewer, longer ones if changing a setting takes
# longer than measuring it. A design effect well above 1 in the first ten minutes should make you ask for more visits.
# ```
#
# ## Recap
#
# - A mesh is queues and workers; routing and workers decide how busy each queue is, and $1/(1-\rho)$ does the rest.
# - A trace consists of configurations, visits and windows; the visit is the unit that we hold out and resample.
# - Bound and change were fixed by a rule that anyone can recompute.
#
# ## Further reading
#
# The KTH testbed and what was first done with it: {cite}`samani2022dynamically` and {cite}`samani2024framework`.

# %%
_ = results.write()
