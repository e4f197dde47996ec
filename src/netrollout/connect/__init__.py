"""Real systems: actuators, sensors, export to Istio, and an engineer's own system from a spec and a trace.

`istio` renders a configuration, `protocols` says what the loop needs of a system, `testbed`, `cluster` and `prometheus`
are such systems, `spec`, `objective` and `own` recommend an action from a spec file and a trace, and `plant` is the
loop around such a system.
"""
