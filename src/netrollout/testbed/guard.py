"""Run a command that dies with its parent: `python guard.py PARENT_PID command...`.

Linux delivers a chosen signal when the thread that forked a process ends (prctl PR_SET_PDEATHSIG), and keeps the
choice over exec. Started as a plain file, without `site`, so that it costs about 15 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the signal was arranged
        os._exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
