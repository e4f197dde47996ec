"""Who used the processor: the testbed, other work that yields to it, or somebody who disturbs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from netrollout.testbed.priority import Priority

SCHED_IDLE = 5
REAL_TIME = (1, 2, 6)  # SCHED_FIFO, SCHED_RR, SCHED_DEADLINE


class Cpu(NamedTuple):
    """Running totals since boot, s of CPU."""

    normal: float  # user + system + irq + softirq, all processors; without the `nice` column
    steal: float  # taken by the hypervisor
    total: float  # everything, idle time included
    ours: float  # this process and its descendants
    yielding: float  # part of `normal` used by processes of idle or niced priority
    rival: float  # used by processes that are not ours under real-time priority


class _Process(NamedTuple):
    parent: int
    user: float  # s, with that of its children that have ended
    system: float  # s, likewise
    nice: int
    policy: int


def _tick() -> float:
    """Return the unit of time in /proc, s."""
    return 1 / os.sysconf("SC_CLK_TCK")


def _processes() -> dict[int, _Process]:
    found = {}
    tick = _tick()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path("/proc", entry, "stat").read_text()
            except OSError:  # it has just ended
                continue
            # Fields after the command name, which may itself contain blanks and brackets; see proc_pid_stat(5).
            f = text.rpartition(")")[2].split()
            user, system = int(f[11]) + int(f[13]), int(f[12]) + int(f[14])
            found[int(entry)] = _Process(int(f[1]), user * tick, system * tick, int(f[16]), int(f[38]))
    return found


def _tree(processes: dict[int, _Process], root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    tree, todo = set(), [root]
    while todo:
        pid = todo.pop()
        tree.add(pid)
        todo += children.get(pid, [])
    return tree


def _yielding(process: _Process) -> float:
    if process.nice > 0:
        return process.system  # its user time is in the `nice` column already
    return process.user + process.system if process.policy == SCHED_IDLE else 0.0


def read_cpu() -> Cpu:
    """Read /proc now; a few milliseconds."""
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system, idle, iowait, irq, softirq, steal = (int(v) * _tick() for v in first.split()[1:9])
    processes = _processes()
    tree = _tree(processes, os.getpid())
    others = [process for pid, process in processes.items() if pid not in tree]
    return Cpu(
        normal=user + system + irq + softirq,
        steal=steal,
        total=user + nice + system + idle + iowait + irq + softirq + steal,
        ours=sum(processes[pid].user + processes[pid].system for pid in tree if pid in processes),
        yielding=sum(_yielding(p) for p in others),
        rival=sum(p.user + p.system for p in others if p.policy in REAL_TIME),
    )


def disturbance(before: Cpu, after: Cpu, duration: float, priority: Priority = "normal") -> dict[str, float]:
    """Return `foreign_cpu` (cores) and `steal` (share of the machine's CPU time) between two readings.

    Foreign is what processes that are not ours used at our priority or a higher one: a testbed under real-time priority
    counts real-time processes only; one at normal priority counts all but niced and idle-priority work, which yields to
    it. Ticks of 10 ms make differences noisy; a negative one counts as 0.
    """
    if priority == "realtime":
        foreign = after.rival - before.rival
    else:
        ours = max(0.0, after.ours - before.ours)  # a killed subtree takes its account with it
        foreign = after.normal - before.normal - ours - max(0.0, after.yielding - before.yielding)
    total = after.total - before.total
    return {
        "foreign_cpu": max(0.0, foreign) / duration,
        "steal": (after.steal - before.steal) / total if total > 0 else 0.0,
    }
