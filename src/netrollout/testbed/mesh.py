"""The live service mesh as one object: start it, control it, measure it in windows."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from netrollout.testbed.cpu import disturbance, read_cpu
from netrollout.testbed.envoy import Envoy, find_envoy
from netrollout.testbed.parts import LoadPart, NodePart
from netrollout.testbed.priority import held, obtained
from netrollout.testbed.processes import MeshError, Nursery, free_ports
from netrollout.testbed.records import service_statistics
from netrollout.testbed.settings import NODES, Settings
from netrollout.types import InputError

DRAIN_LIMIT = 5.0  # s
_TICK = 0.05  # s between two looks at the processes
_LATE = 0.02  # s for answers under way between Envoy and us when a window ends


class Mesh:
    """A real service mesh on this machine: Envoy, two processing nodes and a load generator.

    Use it as a context manager; nothing it started survives it, even where this process is killed. A part that dies
    is restarted with its present settings, and the next window's `fault` says so.

    Parameters
    ----------
    services : service (`compute`, `info`, `search`) -> mean demand of a request, CPU s (exponential)
    quota : CPU limit of a worker, cores
    period : period of the CPU limit, s
    max_workers : workers that stand ready per node, the largest c
    timeout : route timeout, s
    seed : of arrivals and demands
    bounds : service -> bound on the response time of a request, s; gives `late_s`
    priority : `realtime` where it may be had (root or CAP_SYS_NICE), else `normal`; `normal` always

    Attributes
    ----------
    priority : the one that the mesh has got

    Notes
    -----
    Controls: p_s in [0, 1], routing weight of service s to node 1; b_s in [0, 1], blocking rate of service s; c_k in
    1..max_workers, workers of node k. p and b are whole percents.

    Examples
    --------
    >>> with Mesh({"compute": 0.008}) as mesh:  # doctest: +SKIP
    ...     mesh.set(p={"compute": 0.8}, c={1: 3, 2: 1})
    ...     mesh.load({"compute": 25.0})
    ...     row = mesh.window(2.0)
    """

    def __init__(
        self,
        services: Mapping[str, float],
        *,
        quota: float = 0.2,
        period: float = 0.02,
        max_workers: int = 6,
        timeout: float = 5.0,
        seed: int = 0,
        bounds: Mapping[str, float] | None = None,
        priority: str = "realtime",
    ) -> None:
        find_envoy()  # fail before anything runs
        self._settings = Settings.initial(services, max_workers)
        self.services = tuple(services)
        self._quota, self._period = quota, period
        self._timeout = timeout
        self._seed = seed
        self._bounds = dict(bounds or {})
        if unknown := [s for s in self._bounds if s not in self.services]:
            raise InputError(f"bounds: {unknown[0]!r} is not one of {', '.join(self.services)}")
        self.priority = obtained(priority)
        self._faults: list[str] = []

    # -- life

    def __enter__(self) -> Self:
        """Start all parts and wait until they are ready."""
        self._nursery = Nursery(self.priority)
        listener, admin, *node_ports = free_ports(2 + len(NODES))
        ports = dict(zip(NODES, node_ports, strict=True))
        limits = {"max_workers": self._settings.max_workers, "quota": self._quota, "period": self._period}
        self._nodes = {k: NodePart(self._nursery, k, port, self._seed, limits) for k, port in ports.items()}
        self._envoy = Envoy(self._nursery, self.services, ports, port=listener, admin=admin, timeout=self._timeout)
        self._load = LoadPart(self._nursery, list(self.services), self._seed)
        self._parts: list[Envoy | NodePart | LoadPart] = [*self._nodes.values(), self._envoy, self._load]
        try:
            for node in self._nodes.values():
                node.launch()
            self._envoy.start()
            self._load.start()
            for node in self._nodes.values():
                node.wait()
            for part in self._parts:
                self._apply(part)
        except BaseException:
            self.close()
            raise
        self.started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all parts."""
        self.close()

    def close(self) -> None:
        """Stop all processes; called by the end of the `with` block."""
        for part in self._parts:
            if hasattr(part, "child"):
                part.child.kill()
        self._nursery.close()

    def pids(self) -> dict[str, int]:
        """Return the process ids: `envoy`, `load`, `node1`, and `node1.worker1` and so on."""
        pids = {"envoy": self._envoy.child.popen.pid, "load": self._load.child.popen.pid}
        for k, node in self._nodes.items():
            pids[f"node{k}"] = node.child.popen.pid
            pids |= {f"node{k}.worker{i}": pid for i, pid in self._stats(node)["workers"].items()}
        return pids

    # -- control

    def set(
        self,
        p: Mapping[str, float] | None = None,
        b: Mapping[str, float] | None = None,
        c: Mapping[int, int] | None = None,
    ) -> None:
        """Set routing weights to node 1, blocking rates (shares) and numbers of workers; what is not named stays."""
        self._settings.change(p=p or {}, b=b or {}, c=c or {})
        if p or b:
            self._apply(self._envoy)
        for k in c or {}:
            self._apply(self._nodes[k])

    def load(self, rates: Mapping[str, float]) -> None:
        """Set arrival rates, service -> req/s; what is not named stays."""
        self._settings.change(load=rates)
        self._apply(self._load)

    def demand(self, means: Mapping[str, float]) -> None:
        """Set mean demands, service -> CPU s per request, for requests that start from now on."""
        self._settings.change(demand=means)
        for node in self._nodes.values():
            self._apply(node)

    def slow(self, factors: Mapping[int, float]) -> None:
        """Set slowdown factors, node -> factor on each demand there."""
        self._settings.change(slow=factors)
        for k in factors:
            self._apply(self._nodes[k])

    @property
    def settings(self) -> Settings:
        """A copy of the present settings."""
        return copy.deepcopy(self._settings)

    # -- supervision

    def _apply(self, part: Envoy | NodePart | LoadPart) -> None:
        self._reach(part, lambda: self._settle(part))

    def _settle(self, part: Envoy | NodePart | LoadPart) -> None:
        now = self._settings
        if isinstance(part, NodePart):
            part.apply(now.c[part.number], now.demand, now.slow[part.number])
        elif isinstance(part, LoadPart):
            part.apply(self._envoy.port, now.load)
        else:
            part.apply(now.p, now.b)

    def _reach(self, part: Envoy | NodePart | LoadPart, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except OSError as error:
            time.sleep(_TICK)  # a killed process refuses connections a moment before its end is visible
            if part.child.alive:
                raise MeshError(f"{part.name} could not be reached: {error}") from error
            self._supervise()
            return call()

    def _supervise(self) -> None:
        for part in self._parts:
            if not part.child.alive:
                self._faults.append(f"{part.name} died")
                part.child.kill()
                part.start()
                self._settle(part)

    def _stats(self, node: NodePart) -> dict[str, Any]:
        stats: dict[str, Any] = self._reach(node, node.stats)
        self._faults += stats["faults"]
        return stats

    def wait(self, seconds: float) -> None:
        """Let the mesh run for `seconds` (s) under supervision."""
        self._wait_until(time.monotonic() + seconds, lambda: False)

    def _wait_until(self, deadline: float, condition: Callable[[], bool]) -> bool:
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_TICK, left))
            self._supervise()
        return True

    # -- measuring

    def queues(self) -> dict[int, int]:
        """Return the number of requests that wait in the queue of each node, those at a worker not counted."""
        return {k: self._stats(node)["queue"] for k, node in self._nodes.items()}

    def drain(self) -> bool:
        """Stop the load and wait until every request is answered; return whether that took less than 5 s.

        What still waits in a queue after 5 s is answered with 503. The load stays at zero.
        """
        self.load(dict.fromkeys(self.services, 0.0))
        empty = self._wait_until(time.monotonic() + DRAIN_LIMIT, lambda: self._load.records.under_way == 0)
        if not empty:
            for node in self._nodes.values():
                self._reach(node, node.flush)
            self._wait_until(time.monotonic() + DRAIN_LIMIT, lambda: self._load.records.under_way == 0)
        return empty

    def window(self, seconds: float) -> dict[str, Any]:
        """Measure for `seconds` (s) and return one row of a trace (without `visit` and `window`).

        Returns
        -------
        dict
            `t` start of the window since the mesh started (s), `duration` (s). Per service s: `target_l_s` rate asked
            for, `l_s` offered = requests sent in the window / duration, `cl_s` admitted = sent and not blocked /
            duration (req/s); `b_s`, `p_s` as set; `d_s`, `d_s_std`, `d_s_p90`, `d_s_p99` response times (s) and
            `n_s` number of the requests completed (200) in the window, whenever they were sent; `timeout_s` number
            that ended as 504 in it; `late_s` share over the bound of the requests that ended in it; `d_s_k`, `n_s_k`
            the same by node. Per node k: `c_k` workers, `busy_k` share of worker time in use, `busy_seconds_k` worker
            time in use (s), `queue_k` requests that wait at the end. `foreign_cpu` cores used by processes that are
            not ours at our priority or a higher one (see `netrollout.testbed.cpu`), `steal` share of CPU time the
            hypervisor took. `fault` empty, or what happened since the last window, joined by "; ". None where
            undefined.
        """
        with held(self.priority):  # what bounds a window must not wait for ordinary work
            return self._window(seconds)

    def _window(self, seconds: float) -> dict[str, Any]:
        self._supervise()
        stats_before = {k: self._stats(node) for k, node in self._nodes.items()}
        cpu_before = read_cpu()
        start = time.monotonic()
        self._load.records.forget_before(start)
        self.wait(seconds)
        end = time.monotonic()
        duration = end - start
        cpu_after = read_cpu()
        stats_after = {k: self._stats(node) for k, node in self._nodes.items()}
        time.sleep(_LATE)
        sent, done = self._load.records.between(start, end)

        now = self._settings
        row: dict[str, Any] = {"t": start - self.started, "duration": duration}
        for s in self.services:
            measured = service_statistics(s, sent, done, start, end, NODES, self._bounds.get(s))
            row |= {f"target_l_{s}": now.load[s], f"l_{s}": measured.pop(f"l_{s}"), f"b_{s}": now.b[s]}
            row |= {f"cl_{s}": measured.pop(f"cl_{s}"), f"p_{s}": now.p[s], **measured}
        for k in NODES:
            row[f"c_{k}"] = now.c[k]
            row[f"busy_{k}"], row[f"busy_seconds_{k}"] = _busy(stats_before[k], stats_after[k])
            row[f"queue_{k}"] = stats_after[k]["queue"]
        row |= disturbance(cpu_before, cpu_after, duration, self.priority)
        row["fault"] = "; ".join(self._faults)
        self._faults = []
        return row

    def send(self, service: str, count: int, concurrency: int = 32) -> list[tuple[int, int, float]]:
        """Send `count` requests, `concurrency` at a time, and return (status, node, response time in s) of each.

        A closed loop for trying things out; node is 0 where none answered, and no window counts these requests.
        """
        reply = self._load.command(timeout=10 + count, send=[service, count, concurrency])
        return [(status, node, seconds) for status, node, seconds in reply["answers"]]


def _busy(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[float, float]:
    """Return share of the offered worker time in use, and worker time in use, s."""
    if after["offered"] < before["offered"]:  # the node was restarted in between and counts from zero
        before = {"busy": 0.0, "offered": 0.0}
    offered = after["offered"] - before["offered"]
    # Above 1 for a moment where a worker beyond a lowered c finishes its request.
    busy = max(0.0, after["busy"] - before["busy"])
    return (min(1.0, busy / offered) if offered > 0 else 0.0), busy
