"""What the loop needs of a real system: something that sets its controls, something that measures it.

==========  =============================  =============================
where       sets                           measures
==========  =============================  =============================
testbed     `testbed.EnvoyActuator`        `testbed.TestbedSensor`
Kubernetes  `cluster.KubernetesActuator`   `prometheus.PrometheusSensor`
a program   `plant.Command`                `plant.Command`
==========  =============================  =============================

Controls are named as in a trace: ``p_<service>`` routing weight to node 1, ``b_<service>`` blocking rate, ``c_<node>``
workers.  So are the columns of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from netrollout.types import InputError


class ConnectError(InputError):
    """A real system could not be reached, refused, or answered with what cannot be used; the message says which."""


@runtime_checkable
class Actuator(Protocol):
    """Sets the controls of a real system."""

    def apply(self, values: Mapping[str, float]) -> None:
        """Set the named controls; those not named stay.

        Raises
        ------
        InputError
            If a name or a value is wrong; nothing has been set then.
        ConnectError
            If the system could not be reached or refused.  The same call may be made again.
        """


@runtime_checkable
class Sensor(Protocol):
    """Measures a real system."""

    def observe(self, seconds: float) -> dict[str, Any]:
        """Let a window of `seconds` pass and return what was measured in it, column -> value (None where undefined).

        Raises
        ------
        ConnectError
            If nothing usable was answered.
        """
