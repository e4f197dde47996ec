"""The service mesh with dynamics, request by request: scenario S4."""

from netrollout.family import Family

FAMILY = Family(
    room=__name__,
    systems={"mesh-s4": "one service on two nodes through the day: queues, slow starts, bursts; three changes"},
    ids={"netrollout/MeshS4-v0": "mesh-s4"},
    units={"late": "share", "over": "share", "busy": "share", "workers": "workers", "moves": "levels",
           "load": "requests/s", "n_*": "requests", "cpu_*": "s"},
)  # fmt: skip
