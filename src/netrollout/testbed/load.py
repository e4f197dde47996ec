"""The load generator: open-loop Poisson arrivals, in a process of its own.

Requests are sent at their scheduled times whatever became of earlier ones, over as many connections as that takes,
and response times count from the scheduled time: overload is measured, not hidden (no coordinated omission).

Protocol, one JSON value per line. In: `{"id": i, "port": n}`, `{"id": i, "rates": {service: req/s}}` or
`{"id": i, "send": [service, count, concurrency]}`. Out: `["sent", service, t]`,
`["done", service, t_sent, t_done, status, node]` and `{"id": i, ...}` when a command is carried out. Times are
CLOCK_MONOTONIC in s, which all processes share; status 0 means no answer, node 0 means not from a node.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

import aiohttp
import numpy as np

from netrollout.testbed.processes import HOST

PATIENCE = 30.0  # s; only against a proxy that never answers, its own route timeout is far shorter


def say(*records: Any) -> None:
    """Write records to the parent."""
    sys.stdout.write("".join(json.dumps(record) + "\n" for record in records))
    sys.stdout.flush()


class Load:
    """Arrival processes and the requests under way."""

    def __init__(self, session: aiohttp.ClientSession, services: list[str], seed: int) -> None:
        self._session = session
        self._port = 0
        self._rates = dict.fromkeys(services, 0.0)  # req/s
        self._changed = {service: asyncio.Event() for service in services}
        self._under_way: set[asyncio.Task[None]] = set()  # the event loop keeps only weak references
        seeds = np.random.SeedSequence(seed).spawn(len(services))
        self.arrivals = [self._arrive(s, np.random.default_rng(q)) for s, q in zip(services, seeds, strict=True)]

    async def _arrive(self, service: str, rng: np.random.Generator) -> None:
        changed = self._changed[service]
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            rate = self._rates[service]
            due = due + rng.exponential(1 / rate) if rate > 0 else float("inf")
            try:
                await asyncio.wait_for(changed.wait(), None if rate == 0 else due - clock())
            except TimeoutError:
                say(["sent", service, due])
                task = asyncio.create_task(self._report(service, due))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            else:  # Poisson arrivals have no memory: start afresh at the new rate
                changed.clear()
                due = clock()

    async def _report(self, service: str, due: float) -> None:
        status, node = await self._request(service)
        say(["done", service, due, asyncio.get_running_loop().time(), status, node])

    async def _request(self, service: str) -> tuple[int, int]:
        try:
            async with self._session.get(f"http://{HOST}:{self._port}/{service}") as response:
                await response.read()
                return response.status, int(response.headers.get("x-node", 0))
        except (aiohttp.ClientError, TimeoutError):
            return 0, 0

    async def _send(self, service: str, count: int, concurrency: int) -> list[tuple[int, int, float]]:
        clock = asyncio.get_running_loop().time
        left = iter(range(count))
        answers = []

        async def one_after_another() -> None:
            for _ in left:
                start = clock()
                status, node = await self._request(service)
                answers.append((status, node, clock() - start))

        await asyncio.gather(*(one_after_another() for _ in range(concurrency)))
        return answers

    async def obey(self) -> None:
        """Carry out commands from stdin until it ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            command = json.loads(line)
            reply: dict[str, Any] = {"id": command["id"]}
            if "port" in command:
                self._port = command["port"]
            for service, rate in command.get("rates", {}).items():
                self._rates[service] = rate
                self._changed[service].set()
            if "send" in command:
                reply["answers"] = await self._send(*command["send"])
            say(reply)


async def run(services: list[str], seed: int) -> None:
    """Generate load until stdin ends."""
    connector = aiohttp.TCPConnector(limit=0)  # a limit would close the loop
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        load = Load(session, services, seed)
        tasks = [asyncio.create_task(arrivals) for arrivals in load.arrivals]
        await load.obey()
        for task in tasks:
            task.cancel()


def main() -> None:
    """Run the load generator (started by the mesh)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", nargs="+", required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    asyncio.run(run(args.services, args.seed))


if __name__ == "__main__":
    main()
