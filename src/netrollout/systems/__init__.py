"""The systems, each in a room of its own that declares itself: see `netrollout.family`."""

from netrollout.family import register
from netrollout.systems import allocation, edge, edge_published, fleet, mesh, queues, serverless, spiders, toy

ROOMS = (mesh, queues, serverless, edge, edge_published, allocation, toy, fleet, spiders)
FAMILIES = [room.FAMILY for room in ROOMS]
"""In the order in which `netrollout.names` lists their systems."""

for family in FAMILIES:
    register(family)
