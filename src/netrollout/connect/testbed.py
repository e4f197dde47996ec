"""The live testbed behind the two protocols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netrollout.connect.protocols import ConnectError
from netrollout.testbed import Mesh, MeshError
from netrollout.types import InputError


class EnvoyActuator:
    """Sets routing weights and blocking rates in Envoy and workers at the nodes of a running mesh.

    Parameters
    ----------
    mesh : netrollout.testbed.Mesh
        Entered, and left, by the caller.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def apply(self, values: Mapping[str, float]) -> None:
        """Set the named controls; see `Actuator`."""
        changes: dict[str, dict[Any, float]] = {"p": {}, "b": {}, "c": {}}
        for name, value in values.items():
            kind, _, key = name.partition("_")
            if kind not in changes or (kind == "c" and not key.isdecimal()):
                raise InputError(f"testbed: no control {name!r}; expected p_<service>, b_<service> or c_<node>")
            changes[kind][int(key) if kind == "c" else key] = value
        try:
            self._mesh.set(**changes)  # type: ignore[arg-type]  # numbers of workers are checked there
        except (MeshError, OSError) as error:
            raise ConnectError(f"testbed: {error}") from error
        except (ValueError, OverflowError) as error:
            raise InputError(f"testbed: {error}") from None


class TestbedSensor:
    """Measures a running mesh: one row of a trace per window.

    Parameters
    ----------
    mesh : netrollout.testbed.Mesh
    """

    __test__ = False  # the name begins like a test's

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def observe(self, seconds: float) -> dict[str, Any]:
        """Measure for `seconds`; the columns are those of `netrollout.testbed.Mesh.window`."""
        if not seconds > 0:
            raise InputError(f"testbed: a window of {seconds:g} s; expected more than 0")
        try:
            return self._mesh.window(seconds)
        except (MeshError, OSError) as error:
            raise ConnectError(f"testbed: {error}") from error
