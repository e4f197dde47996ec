"""Where the pods of a service run: sites in a ring beside stations whose users commute."""

from netrollout.family import Family

FAMILY = Family(
    room=__name__,
    systems={"edge": "a service placed on sites where users commute, crowds come and sites fail; four changes"},
    ids={"netrollout/Edge-v0": "edge"},
    units={"rent": "euro", "fee": "euro", "pods": "pods", "late": "share", "cloud": "share", "worst": "share"},
    control="pods of each site",
    loops={
        "edge-moved": "users move by one station; simulated, as the next ones",
        "edge-dear": "the price of the cheap site doubles",
        "edge-far": "the network is slow for good",
        "edge-lost": "the largest site never comes back",
    },
)
