"""How processes are tied to their parent on Linux, by prctl(2), and how they keep their secrets.

`tied_to_parent` starts the trainer, or a program, with two properties. First, the kernel kills it
when its supervisor dies, even by SIGKILL. Second, when memory runs out the kernel kills it first,
so that the supervisor can report it. Run as a file that imports little, to start fast:
`python prctl.py SUPERVISOR_PID COMMAND...`
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
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


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind, as `init` else does.

    So a daemon, which has a session of its own, is still known. Does nothing outside of Linux.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def adopts_orphans() -> bool:
    """Whether this process is the parent of what its children leave behind."""
    if sys.platform != "linux":
        return False
    found = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(found), 0, 0, 0)
    return bool(found.value)


def tied_to_parent() -> list[str]:
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
