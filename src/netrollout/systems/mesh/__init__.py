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
    ids={f"netrollout/MeshS{number}-v0": f"mesh-s{number}" for number in (1, 2, 3)},
)
