"""A Kubernetes cluster with Istio as the place where actions are applied, by the official Python client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netrollout.connect.istio import Layout, Manifest
from netrollout.connect.protocols import ConnectError
from netrollout.types import InputError

SECONDS = 10.0  # that the API server is given to answer
MERGE = {
    "Deployment": "application/strategic-merge-patch+json",  # merges containers by name
    "VirtualService": "application/merge-patch+json",  # replaces the list of routes as a whole
}


class KubernetesActuator:
    """Patches the VirtualService and the Deployments of a mesh.

    Deployments are patched first, so that workers exist before requests are sent to them.  All fields that an action
    names are sent whatever was sent before, so a call can be repeated.

    Parameters
    ----------
    layout : Layout
        How the mesh stands in the cluster.
    api : kubernetes.client.ApiClient, optional
        The cluster; where None, that of the current kubectl context.

    Raises
    ------
    InputError
        If the client library is missing, or there is no configuration to read.
    """

    def __init__(self, layout: Layout, api: Any = None) -> None:
        client, config = _library()
        if api is None:
            try:
                config.load_config()
            except config.ConfigException as error:
                raise InputError(f"kubernetes: no cluster is configured ({error}); set KUBECONFIG") from None
            api = client.ApiClient()
        self._layout = layout
        self._objects = client.CustomObjectsApi(api)
        self._routing: dict[str, float] = {}  # what the VirtualService was last set to

    def apply(self, values: Mapping[str, float]) -> None:
        """Set the named controls; the first call that routes or blocks must name every routing weight."""
        self._layout.check(values)
        routing = {name: value for name, value in values.items() if not name.startswith("c_")}
        # Everything is rendered before anything is sent: a wrong value changes nothing.
        wanted = self._routing | routing
        service = self._layout.virtual_service(wanted) if routing else None
        patches = [self._layout.deployment(k, values[f"c_{k}"]) for k in self._layout.scaled if f"c_{k}" in values]
        for patch in patches:
            self._patch(patch)
        if service is not None:
            self._patch(service)
            self._routing = wanted

    def _patch(self, patch: Manifest) -> None:
        from kubernetes.client import ApiException, rest

        kind, name, namespace = patch["kind"], patch["metadata"]["name"], patch["metadata"]["namespace"]
        group, version = patch["apiVersion"].split("/")
        what = f"{kind} {namespace}/{name}"
        try:
            # The call for objects of any kind takes the answer as it is; that for Deployments wants it complete.
            self._objects.patch_namespaced_custom_object(
                group, version, namespace, f"{kind.lower()}s", name, {"spec": patch["spec"]},
                _content_type=MERGE[kind], _request_timeout=SECONDS,
            )  # fmt: skip
        except ApiException as error:
            hint = "; create it first, a patch changes what is there" if error.status == 404 else ""
            raise ConnectError(f"{what}: the API server answered {error.status} {error.reason}{hint}") from None
        except (rest.urllib3.exceptions.HTTPError, OSError) as error:
            raise ConnectError(f"{what}: the API server could not be reached: {_first_line(error)}") from None


def _library() -> tuple[Any, Any]:
    try:
        from kubernetes import client, config
    except ImportError:
        raise InputError("kubernetes: the Python client is missing; pip install 'netrollout[connect]'") from None
    return client, config


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
