"""One processing node: an HTTP server with one FIFO queue in front of c worker processes.

All workers exist from the start and only the first c are given requests, so that c changes live and no request is
lost: a worker above a lowered c finishes what it has. A request whose client went away (Envoy timed out) leaves the
queue. A worker that dies costs its request a 503, is recorded as a fault and replaced.

Paths: GET `/<service>` for requests; GET `/control/health`, GET `/control/stats`, POST `/control/settings` and
POST `/control/flush` for the mesh.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import deque
from dataclasses import dataclass, field

from aiohttp import web

from netrollout.testbed.processes import HOST, guarded


@dataclass(eq=False)
class Job:
    """One request in the queue or at a worker; `status` resolves to its HTTP status."""

    service: str
    status: asyncio.Future[int]

    def finish(self, status: int) -> None:
        """Answer the request, if somebody still waits for it."""
        if not self.status.done():
            self.status.set_result(status)


@dataclass(eq=False)
class Worker:
    """The node's view of one worker process."""

    process: asyncio.subprocess.Process
    job: Job | None = None
    since: float = 0.0  # s, start of the present job


@dataclass
class Node:
    """Queue, dispatcher and bookkeeping of one node."""

    number: int
    demand: dict[str, float]  # mean demand per service, CPU s
    max_workers: int
    quota: float  # CPU limit of a worker, cores
    period: float  # s
    seed: int
    active: int = 1  # c, workers that are given requests
    slowdown: float = 1.0  # factor on each demand
    queue: deque[Job] = field(default_factory=deque)
    workers: dict[int, Worker] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    busy: float = 0.0  # worker s spent on finished jobs
    offered: float = 0.0  # worker s offered: integral of c over time
    clock: float = field(default_factory=time.monotonic)  # s, up to which `offered` is counted

    # -- workers

    async def run_worker(self, index: int) -> None:
        """Keep worker `index` alive and take its answers, for ever."""
        for life in range(sys.maxsize):
            worker = Worker(await self._spawn(index, life))
            assert worker.process.stdout is not None
            if not await worker.process.stdout.readline():
                sys.exit(f"worker {index + 1} of node {self.number} ended while starting")
            self.workers[index] = worker
            self.dispatch()
            while await worker.process.stdout.readline():
                self._take_back(worker, 200)
                self.dispatch()
            del self.workers[index]
            self._take_back(worker, 503)
            self.faults.append(f"node {self.number}: worker {index + 1} died")
            await worker.process.wait()

    async def _spawn(self, index: int, life: int) -> asyncio.subprocess.Process:
        # Equidistant phases, interleaved between the two nodes: pods do not wake at the same instant.
        phase = self.period * (index + self.number / 2) / self.max_workers
        options = {"quota": self.quota, "period": self.period, "phase": phase}
        command = [sys.executable, "-m", "netrollout.testbed.worker"]
        command += [f"--{name}={value}" for name, value in options.items()]
        command += ["--seed", *map(str, (self.seed, self.number, index, life))]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*guarded(command), stdin=pipe, stdout=pipe)

    def dispatch(self) -> None:
        """Give the oldest requests to the idle ones among the first c workers."""
        for index in range(self.active):
            worker = self.workers.get(index)
            if self.queue and worker is not None and worker.job is None:
                worker.job, worker.since = self.queue.popleft(), time.monotonic()
                mean = self.demand[worker.job.service] * self.slowdown
                assert worker.process.stdin is not None
                worker.process.stdin.write(f"{worker.job.service} {mean}\n".encode())

    def _take_back(self, worker: Worker, status: int) -> None:
        if worker.job is not None:
            self.busy += time.monotonic() - worker.since
            worker.job.finish(status)
            worker.job = None

    def _count_offered(self) -> None:
        now = time.monotonic()
        self.offered += self.active * (now - self.clock)
        self.clock = now

    # -- HTTP

    async def serve(self, request: web.Request) -> web.Response:
        """Queue one request and answer when a worker has done it."""
        service = request.match_info["service"]
        if service not in self.demand:
            raise web.HTTPNotFound(text=f"no service {service!r} here")
        job = Job(service, asyncio.get_running_loop().create_future())
        self.queue.append(job)
        self.dispatch()
        try:
            status = await job.status
        except asyncio.CancelledError:  # the client went away
            if job in self.queue:
                self.queue.remove(job)
            raise
        return web.Response(status=status, headers={"x-node": str(self.number)})

    async def health(self, _: web.Request) -> web.Response:
        """Answer 200 when every worker is up."""
        return web.Response(status=200 if len(self.workers) == self.max_workers else 503)

    async def settings(self, request: web.Request) -> web.Response:
        """Change any of `workers` (c), `demand` (CPU s per service) and `slowdown` (factor)."""
        new = await request.json()
        self._count_offered()
        self.active = new.get("workers", self.active)
        self.demand.update(new.get("demand", {}))
        self.slowdown = new.get("slowdown", self.slowdown)
        self.dispatch()
        return web.Response()

    async def flush(self, _: web.Request) -> web.Response:
        """Answer everything that waits with 503; what is at a worker is finished."""
        while self.queue:
            self.queue.popleft().finish(503)
        return web.Response()

    async def stats(self, _: web.Request) -> web.Response:
        """Answer with queue length, running totals in worker s, and the faults since last asked."""
        self._count_offered()
        now = time.monotonic()
        at_work = sum(now - w.since for w in self.workers.values() if w.job is not None)
        faults, self.faults = self.faults, []
        return web.json_response(
            {
                "queue": len(self.queue),
                "busy": self.busy + at_work,
                "offered": self.offered,
                "faults": faults,
                "workers": {index + 1: w.process.pid for index, w in sorted(self.workers.items())},
            }
        )


async def run(node: Node, port: int) -> None:
    """Serve on `port` until the process is killed."""
    app = web.Application()
    app.router.add_get("/control/health", node.health)
    app.router.add_get("/control/stats", node.stats)
    app.router.add_post("/control/settings", node.settings)
    app.router.add_post("/control/flush", node.flush)
    app.router.add_get("/{service}", node.serve)
    # handler_cancellation: a handler whose client disconnects is cancelled, which `serve` relies on.
    # keepalive: Envoy closes idle connections (60 s), never the node.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, keepalive_timeout=3600)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=1024).start()
    await asyncio.gather(*(node.run_worker(index) for index in range(node.max_workers)))


def main() -> None:
    """Run one node (started by the mesh)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-workers", type=int, required=True)
    parser.add_argument("--quota", type=float, required=True)
    parser.add_argument("--period", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    node = Node(args.number, {}, args.max_workers, args.quota, args.period, args.seed)
    asyncio.run(run(node, args.port))


if __name__ == "__main__":
    main()
