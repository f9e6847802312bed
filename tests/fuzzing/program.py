"""The program in this process, whose every end must be one that its documentation tells."""

from __future__ import annotations

import io
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

from standins.laptop import Said

from orchestrator.terminal.program import main

CPU_SECONDS = 20.0
"""Most work of this process for one command on a small file."""

ENDS = {0, 1, 2}

FORBIDDEN = (
    "Traceback",
    'File "/',
    "hubtrain itself made a mistake",
    "could not be looked at",
    "force_download",
)
"""What is said, or slips through, where nobody foresaw something."""


MARKS = ("✗", "  ! ", '"error"', "errors")
"""What stands before that which is wrong."""


def command(*words: str) -> Said:
    """Run a command to its end, as `hubtrain` does."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["hubtrain", *words]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        return Said(end.code if isinstance(end.code, int) else 1, out.getvalue(), err.getvalue())
    finally:
        sys.argv = argv
    raise AssertionError("it ended without saying how")


def understood(*words: str, names: str = "", case: object = "") -> Said:
    """Run a command that has to end as documented, in bounded time, and return what it said.

    Where it refuses, it `names` what is wrong. `case` tells again what was done.
    """
    began = time.process_time()
    said = command(*words)
    took, text = time.process_time() - began, said.out + said.err
    told = f"case {case}: hubtrain {' '.join(words)}\n{text}"
    assert said.code in ENDS, told
    assert not [word for word in FORBIDDEN if word in text], told
    assert took < CPU_SECONDS, f"{took:.0f} s of work: {told}"
    if said.code:
        assert names in text and any(mark in text for mark in MARKS), told
    return said
