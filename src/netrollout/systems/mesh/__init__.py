"""The service mesh as a table of measured windows: scenarios S1 to S3."""

from netrollout.family import Family

FAMILY = Family(
    room=__name__,
    systems={
        "mesh-s1": "two services share two nodes; nothing changes",
        "mesh-s2": "one service on two nodes becomes heavier",
        "mesh-s3": "one service on two nodes; the load starts to move",
        "mesh-release": "the mesh of mesh-s2; a release overloads it where its base policy rests",
    },
    loops={
        "S2": "the service gets heavier, as in the trace",
        "S2-slow": "node 1 becomes as much slower as the service gets heavier in S2",
        "S2-kill": "the process of node 1 is killed and returns",
        "S3": "the load starts to move",
        "release": "the service gets so much heavier that the mesh is overloaded where the base policy rests",
        "S4": "the load starts to follow a day of 48 cycles with bursts, on the grid of S3",
    },
    ids={f"netrollout/MeshS{number}-v0": f"mesh-s{number}" for number in (1, 2, 3)},
)
