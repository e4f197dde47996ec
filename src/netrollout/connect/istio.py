"""A configuration of the mesh as objects of a Kubernetes cluster that runs Istio.

==============================  ============================================================================
on the testbed                  in the cluster
==============================  ============================================================================
p_s, routing weight to node 1   VirtualService: weights of the route of path `/s`, whole percents, sum 100
b_s, blocking rate              the same route's fault: a share of the requests is aborted with 429
route timeout                   the same route's timeout
c_k, workers of node k          Deployment of node k: its replicas, or c_k times a worker's CPU limit
==============================  ============================================================================

A node is a Service and a Deployment of the same name.  A Deployment comes as a patch: it names only what changes, and
is merged into the one in the cluster (`kubectl apply --server-side` does so).  Istio's own Envoy is what the testbed
runs, so a weight means the same in both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from netrollout.systems.mesh.dynamics import Control
from netrollout.types import InputError

BLOCKED = 429  # what a request that is turned away is answered, as on the testbed
NODES = (1, 2)
Workers = Literal["replicas", "cpu"]
Manifest = dict[str, Any]

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True)
class Layout:
    """How the mesh stands in the cluster.

    Parameters
    ----------
    name : str
        Of the VirtualService.
    services : tuple of str
        Their requests are told apart by the path `/<service>`.
    nodes : dict of int to str
        Node number -> name of its Service and Deployment.
    scaled : tuple of int
        Nodes whose workers are controlled.
    host : str or None
        Host that the requests are sent to; None is the name.
    namespace : str
    workers : str
        ``replicas``: a worker is a pod; ``cpu``: a worker is a share of one pod's CPU limit.
    quota : float
        CPU limit of a worker, cores.
    container : str
        Container of the Deployment whose CPU limit is set.
    timeout : float
        Route timeout, s.

    Raises
    ------
    InputError
        If a name, host or namespace is not one that Kubernetes takes, or a number is out of range.
    """

    name: str
    services: tuple[str, ...]
    nodes: Mapping[int, str] = field(default_factory=lambda: {k: f"node{k}" for k in NODES})
    scaled: tuple[int, ...] = (1,)
    host: str | None = None
    namespace: str = "default"
    workers: Workers = "replicas"
    quota: float = 0.2
    container: str = "worker"
    timeout: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what the cluster would refuse."""
        named = {"namespace": self.namespace, "name": self.name, "container": self.container}
        named |= {f"node {k}": name for k, name in self.nodes.items()}
        for what, text in named.items():
            if not re.fullmatch(_LABEL, text):
                raise InputError(f"{what} {text!r}: expected lower-case letters, digits and -, 63 at most")
        if self.host is not None and (len(self.host) > 253 or not _HOST.fullmatch(self.host)):
            raise InputError(f"host {self.host!r}: expected a DNS name such as shop.example.org")
        if len(set(self.nodes.values())) < len(self.nodes):
            raise InputError(f"nodes {', '.join(self.nodes.values())}: two nodes have the same name")
        if self.workers not in ("replicas", "cpu"):
            raise InputError(f"workers {self.workers!r}: choose one of replicas, cpu")
        if not 0.001 <= self.quota <= 1000:
            raise InputError(f"quota {self.quota:g}: the CPU limit of a worker is 0.001 to 1000 cores")
        if not 0.001 <= self.timeout <= 3600:
            raise InputError(f"timeout {self.timeout:g}: expected 0.001 to 3600 s")

    def check(self, values: Mapping[str, float]) -> None:
        """Refuse names that are no control here, and values out of range.

        Raises
        ------
        InputError
            It names the control, its value and what would be right.
        """
        shares = [f"{kind}_{service}" for service in self.services for kind in "pb"]
        workers = [f"c_{k}" for k in self.scaled]
        for name, value in values.items():
            if name not in (*shares, *workers):
                raise InputError(f"{self.name}: no service or node for {name!r}; known: {', '.join(shares + workers)}")
            if name in shares and not 0.0 <= value <= 1.0:
                what = "blocking rate" if name.startswith("b_") else "routing weight"
                raise InputError(f"{self.name}: {name}={value:g} is a {what}, a share from 0 to 1")
            if name in workers and not (value >= 1 and float(value).is_integer()):
                raise InputError(f"{self.name}: {name}={value:g} is a number of workers, whole and at least 1")

    def objects(self, values: Mapping[str, float]) -> list[Manifest]:
        """Return the VirtualService and the patch of every Deployment whose workers `values` names.

        Parameters
        ----------
        values : mapping
            ``p_<service>`` of every service; ``b_<service>`` (else 0) and ``c_<node>`` where wanted.
        """
        return [self.virtual_service(values), *(self.deployment(k, values[f"c_{k}"]) for k in self.scaled
                                                if f"c_{k}" in values)]  # fmt: skip

    def virtual_service(self, values: Mapping[str, float]) -> Manifest:
        """Return the VirtualService that routes and blocks as `values` say.

        Raises
        ------
        InputError
            If a value is wrong, or a service has no routing weight.
        """
        self.check(values)
        if missing := [service for service in self.services if f"p_{service}" not in values]:
            raise InputError(f"{self.name}: service {missing[0]} needs a routing weight, p_{missing[0]}")
        routes = [self._route(s, values[f"p_{s}"], values.get(f"b_{s}", 0.0)) for s in self.services]
        spec = {"hosts": [self.host or self.name], "http": routes}
        return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": self._named(self.name),
                "spec": spec}  # fmt: skip

    def deployment(self, node: int, workers: float) -> Manifest:
        """Return the patch of a node's Deployment.

        Raises
        ------
        InputError
            If the node's workers are not controlled, or their number is wrong.
        """
        self.check({f"c_{node}": workers})
        spec: Manifest = {"replicas": int(workers)}
        if self.workers == "cpu":
            limits = {"cpu": f"{round(1000 * self.quota * workers)}m"}
            spec = {"template": {"spec": {"containers": [{"name": self.container, "resources": {"limits": limits}}]}}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": self._named(self.nodes[node]), "spec": spec}

    def _route(self, service: str, p: float, b: float) -> Manifest:
        percent = round(100 * p)
        weights = zip(NODES, (percent, 100 - percent), strict=True)
        route: Manifest = {
            "name": service,
            "match": [{"uri": {"exact": f"/{service}"}}],
            "route": [{"destination": {"host": self.nodes[k]}, "weight": weight} for k, weight in weights],
            "timeout": f"{round(1000 * self.timeout)}ms",
        }
        if b > 0:
            route["fault"] = {"abort": {"httpStatus": BLOCKED, "percentage": {"value": round(100 * b, 4)}}}
        return route

    def _named(self, name: str) -> Manifest:
        return {"name": name, "namespace": self.namespace}


def layout_of(system: str, controls: Sequence[Control], nodes: Mapping[int, str] | None = None,
              **options: Any) -> Layout:  # fmt: skip
    """Return the layout of a system's controls; `options` are those of `Layout`.

    Parameters
    ----------
    system : str
    controls : sequence of Control
        ``p_<service>`` and ``c_<node>``.
    nodes : mapping, optional
        Node number -> name of its Service and Deployment, for those not called node1, node2.

    Raises
    ------
    InputError
        If there is no such node.
    """
    names = {k: f"node{k}" for k in NODES}
    if unknown := sorted(set(nodes or {}) - set(names)):
        raise InputError(f"{system}: there is no node {unknown[0]}; the nodes are {', '.join(map(str, names))}")
    services = tuple(c.name.removeprefix("p_") for c in controls if c.name.startswith("p_"))
    scaled = tuple(int(c.name.removeprefix("c_")) for c in controls if c.name.startswith("c_"))
    return Layout(system, services, names | dict(nodes or {}), scaled, **options)


def to_yaml(objects: Sequence[Manifest]) -> str:
    """Return objects as YAML documents, for `kubectl apply --server-side -f`."""
    return yaml.safe_dump_all(objects, sort_keys=False)
