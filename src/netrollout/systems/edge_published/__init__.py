"""The published edge environment, by its rules: nearly degenerate, kept for what can be said of its agents."""

from netrollout.family import Family

FAMILY = Family(
    room=__name__,
    systems={"edge-published": "pods of four deployments, as the published environment pays for them"},
    ids={"netrollout/EdgePublished-v0": "edge-published"},
    units={"latency": "ms", "latency_*": "ms", "pods": "pods", "lost": "share"},
    control="pods of each deployment",
)
