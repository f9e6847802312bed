"""Becomes the command it is given, after telling Linux two things about itself.

The trainer dies with its supervisor, even one that was killed with SIGKILL, and is the first to go
when memory runs out, so that the supervisor lives to say so. Run as a file, with nothing imported
that costs start-up time: `python leash.py SUPERVISOR_PID COMMAND...`
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def main() -> None:
    """Tie this process to its parent and become the command. Never returns."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:  # it died before we were tied
        sys.exit(1)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:
        pass  # some sandboxes refuse; then the kernel chooses
    os.execvp(command[0], command)


if __name__ == "__main__" and sys.platform == "linux":
    main()
