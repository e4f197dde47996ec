"""The service mesh with dynamics, request by request: scenarios S4 and S5."""

from netrollout.family import Family

FAMILY = Family(
    room=__name__,
    systems={
        "mesh-s4": "one service on two nodes through the day: queues, slow starts, bursts; three changes",
        "mesh-s5": "one service on two throttled nodes through a working day; it gets heavier",
    },
    ids={"netrollout/MeshS4-v0": "mesh-s4", "netrollout/MeshS5-v0": "mesh-s5"},
    units={"late": "share", "over": "share", "busy": "share", "workers": "workers", "moves": "levels",
           "load": "requests/s", "n_*": "requests", "cpu_*": "s", "ended": "requests", "queue_*": "requests"},
    loops={
        "S5": "the working day of mesh-s5, on the simulator and the testbed",
        "mesh-s4-heavier": "a request asks for more of both nodes; simulated, as the next ones",
        "mesh-s4-slower": "a request asks for more of node 1",
        "mesh-s4-shifted": "the day is a quarter late",
    },
)  # fmt: skip
