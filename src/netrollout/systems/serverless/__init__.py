"""The serverless autoscaling system: workloads, the task farm, its reward, and the replay of recorded episodes."""

from netrollout.family import Family

FAMILY = Family(
    room=__name__,
    systems={"serverless": "a task farm: deadlines met by more or fewer workers; three changes"},
    ids={"netrollout/Serverless-v0": "serverless"},
    units={"completed": "tasks", "violations": "tasks", "arrivals": "tasks", "queue": "tasks", "qos": "share",
           "workers": "workers", "applied": "workers", "requested": "changes", "reward_*": "reward"},
    control="workers",
    hidden=True,
    ends=True,
)  # fmt: skip
