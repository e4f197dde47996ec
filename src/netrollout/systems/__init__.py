"""The systems, each in a room of its own that declares itself: see `netrollout.family`."""

from netrollout.family import register
from netrollout.systems import fleet, mesh, queues, serverless, spiders, toy

FAMILIES = [mesh.FAMILY, queues.FAMILY, serverless.FAMILY, toy.FAMILY, fleet.FAMILY, spiders.FAMILY]
"""In the order in which `netrollout.names` lists their systems."""

for family in FAMILIES:
    register(family)
