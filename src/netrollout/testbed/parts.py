"""The parent's side of the mesh's Python processes: processing nodes and the load generator."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any

from netrollout.testbed.priority import take_priority
from netrollout.testbed.processes import MeshError, Nursery, ask
from netrollout.testbed.records import Records


class NodePart:
    """A processing node as a supervised part of the mesh; it keeps its port over a restart.

    `limits` are `max_workers`, and of each worker `quota` (cores) and `period` (s).
    """

    def __init__(self, nursery: Nursery, number: int, port: int, seed: int, limits: Mapping[str, float]) -> None:
        self.name = f"node {number}"
        self.number = number
        self._nursery = nursery
        self.port = port
        self._seed = seed
        self._life = 0
        self._command = [sys.executable, "-m", "netrollout.testbed.node"]
        options = {"number": number, "port": port, **limits}
        self._command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]

    def launch(self) -> None:
        """Start the process without waiting; the nodes' many workers start side by side."""
        # A restarted node must not repeat the demands it has already drawn.
        self.child = self._nursery.spawn(self.name, [*self._command, f"--seed={self._seed + self._life}"])
        self._life += 1

    def wait(self) -> None:
        """Wait until every worker is up."""
        self.child.wait_until(lambda: ask(self.port, "GET", "/control/health") == "")

    def start(self) -> None:
        """Start the process and wait until every worker is up."""
        self.launch()
        self.wait()

    def apply(self, workers: int, demand: Mapping[str, float], slowdown: float) -> None:
        """Set c, the mean demands (CPU s) and the slowdown factor."""
        settings = {"workers": workers, "demand": dict(demand), "slowdown": slowdown}
        ask(self.port, "POST", "/control/settings", settings)

    def stats(self) -> dict[str, Any]:
        """Return queue length, running totals `busy` and `offered` (worker s), faults and worker pids."""
        answer: dict[str, Any] = json.loads(ask(self.port, "GET", "/control/stats"))
        return answer

    def flush(self) -> None:
        """Empty the queue."""
        ask(self.port, "POST", "/control/flush")


class LoadPart:
    """The load generator as a supervised part of the mesh; `records` is what it reported."""

    name = "load generator"

    def __init__(self, nursery: Nursery, services: list[str], seed: int) -> None:
        self._nursery = nursery
        self._services = services
        self._seed = seed
        self._life = 0
        self._command_number = 0
        self._reader: threading.Thread | None = None
        self.records = Records()

    def start(self) -> None:
        """Start the process and the thread that reads its records."""
        # A restarted generator must not repeat the arrivals it has already made.
        options = ["--seed", str(self._seed + self._life), "--services", *self._services]
        self._life += 1
        self.child = self._nursery.spawn(self.name, [sys.executable, "-m", "netrollout.testbed.load", *options], True)
        if self._reader is not None:
            self._reader.join()  # the last records of the previous life
        self.records.forget_under_way()
        self._replies: dict[int, dict[str, Any]] = {}
        self._answered = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(self.child.popen.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        take_priority(self._nursery.priority)  # what is read late would be missing from its window
        # Always reading: were the pipe to fill up, the generator would block and the loop be closed.
        with stream:
            for line in stream:
                if not line.endswith(b"\n"):  # cut off by a kill
                    break
                record = json.loads(line)
                if isinstance(record, list):
                    self.records.add(record)
                else:
                    with self._answered:
                        self._replies[record["id"]] = record
                        self._answered.notify_all()
        with self._answered:
            self._answered.notify_all()

    def command(self, timeout: float = 10.0, **command: Any) -> dict[str, Any]:
        """Send a command and return its reply; a generator that is gone raises `OSError`."""
        self._command_number += 1
        number = self._command_number
        stdin = self.child.popen.stdin
        assert stdin is not None
        stdin.write(json.dumps({"id": number, **command}).encode() + b"\n")
        stdin.flush()
        with self._answered:
            self._answered.wait_for(lambda: number in self._replies or not self.child.alive, timeout)
        if number in self._replies:
            return self._replies.pop(number)
        if not self.child.alive:
            raise ConnectionError("the load generator is gone")
        raise MeshError(f"the load generator did not answer within {timeout:g} s")

    def apply(self, port: int, rates: Mapping[str, float]) -> None:
        """Set where requests go and the arrival rates (req/s)."""
        self.command(port=port, rates=dict(rates))
