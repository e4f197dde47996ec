"""Child processes that never outlive the testbed, and small helpers to reach them on 127.0.0.1."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from netrollout.testbed.priority import Priority, take_priority

HOST = "127.0.0.1"
START_TIMEOUT = 30.0  # s, a generous bound on a loaded machine
_GUARD = Path(__file__).with_name("guard.py")
_SOURCE = Path(__file__).resolve().parents[2]  # the folder that contains the package


class MeshError(RuntimeError):
    """The testbed could not be started or reached."""


def guarded(command: list[str]) -> list[str]:
    """Return the command line that runs `command` tied to the life of the calling thread's process."""
    return [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *command]


def environment() -> dict[str, str]:
    """Return the environment of all children: one BLAS thread, this package importable."""
    paths = [str(_SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])]
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(paths)}


class Nursery:
    """Starts processes from one thread of its own.

    The death signal of a child fires when the *thread* that forked it ends. This thread lives as long as the
    nursery, so a caller's short-lived thread (a notebook server's, say) does not take the mesh with it.
    """

    def __init__(self, priority: Priority) -> None:
        self.priority = priority  # of this thread, and so of all that it starts
        self._thread = ThreadPoolExecutor(1, "netrollout-nursery", initializer=take_priority, initargs=(priority,))

    def spawn(self, name: str, command: list[str], talks: bool = False) -> Child:
        """Start `command`; `talks` opens pipes to its standard input and output."""
        return self._thread.submit(Child, name, command, talks).result()

    def close(self) -> None:
        """End the thread; children still alive are killed by the kernel."""
        self._thread.shutdown()


class Child:
    """One child process; what it says on stderr goes to an unlinked file, for `last_words`."""

    def __init__(self, name: str, command: list[str], talks: bool) -> None:
        self.name = name
        self._log: IO[bytes] = tempfile.TemporaryFile()
        pipe = subprocess.PIPE if talks else subprocess.DEVNULL
        # A session of its own keeps the terminal's Ctrl-C away: the parent alone decides how to stop.
        self.popen = subprocess.Popen(
            guarded(command), stdin=pipe, stdout=pipe, stderr=self._log, env=environment(), start_new_session=True
        )

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.popen.poll() is None

    def last_words(self) -> str:
        """Return the last line the process wrote to stderr."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def wait_until(self, healthy: Callable[[], bool]) -> None:
        """Poll `healthy` until it holds; a process that ends or stays silent raises `MeshError`."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if not self.alive:
                raise MeshError(f"{self.name} ended while starting: {self.last_words()}")
            with contextlib.suppress(OSError):
                if healthy():
                    return
            time.sleep(0.02)
        raise MeshError(f"{self.name} was not ready within {START_TIMEOUT:.0f} s: {self.last_words()}")

    def kill(self) -> None:
        """Kill the process and wait for its end; whoever reads its output finds the end of it."""
        self.popen.kill()
        self.popen.wait()
        self._log.close()
        if self.popen.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # unsent commands to a process that is gone
                self.popen.stdin.close()


def free_ports(count: int) -> list[int]:
    """Return `count` ports free on 127.0.0.1 right now, all different."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def ask(port: int, method: str, path: str, payload: Mapping[str, Any] | None = None) -> str:
    """Send one HTTP request to 127.0.0.1 and return the body; an answer other than 200 raises `OSError`."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request(method, path, body=None if payload is None else json.dumps(payload))
        response = connection.getresponse()
        body = response.read().decode()
    except http.client.HTTPException as error:  # cut off in mid-answer
        raise ConnectionError(f"{method} {path}: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"{method} {path} on port {port} answered {response.status}: {body.strip()}")
    return body
