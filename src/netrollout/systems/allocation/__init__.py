"""How services share resources: whole slots, which take a cycle to start, under demand that bursts."""

from netrollout.family import Family

FAMILY = Family(
    room=__name__,
    systems={"allocation": "five services share three resources in slots that take a cycle to start; three changes"},
    ids={"netrollout/Allocation-v0": "allocation"},
    units={"value": "reward", "paid": "reward", "late": "reward", "lost": "jobs", "done": "jobs", "waiting": "jobs",
           "violations": "share", "severity": "units", "moved": "slots"},
    control="slots of each service",
)  # fmt: skip
