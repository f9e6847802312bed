"""Properties of processes on Linux, and what starts the trainer, or a program, with two of them.

First, the kernel kills the trainer when its supervisor dies, even by SIGKILL. Second, when memory
runs out the kernel kills the trainer first, so that the supervisor can report it. Run as a file
that imports little, to start fast: `python leash.py SUPERVISOR_PID COMMAND...`
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_SIGKILL = 9


def ends_with_parent() -> None:
    """Have the kernel kill this process when its parent dies. Does nothing outside of Linux.

    A child process does not inherit this, so each process that a launcher starts has to call it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def keep_secrets() -> None:
    """Let no other process of this user read this one's memory and environment; dump no core.

    On Linux; root can read them anywhere. A child does not inherit the first of it, so that what is
    started with fewer secrets does not get at these.
    """
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def leashed() -> list[str]:
    """Return what begins a command that is to end with this process; nothing outside of Linux."""
    if sys.platform != "linux":
        return []
    return [sys.executable, "-IS", __file__, str(os.getpid())]


def main() -> None:
    """Tie this process to its parent and become the command. Never returns."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ends_with_parent()
    if os.getppid() != parent:  # the supervisor died before prctl was called
        sys.exit(1)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:
        pass  # some sandboxes refuse; then the kernel chooses
    os.execvp(command[0], command)


if __name__ == "__main__" and sys.platform == "linux":
    main()
