"""A length of time as people read it, on the laptop and on the page of a job alike."""

from __future__ import annotations

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


def duration(seconds: float) -> str:
    """Return a length of time: `0.6 s`, `42 s`, `19 min 04 s`, `2 h 05 min`, `3 d 4 h`."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:02.0f} s"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:02.0f} min"
    return f"{seconds // _DAY:.0f} d {seconds % _DAY // _HOUR:.0f} h"


def roughly(seconds: float) -> str:
    """Return a length of time to a minute or so: `0.4 s`, `42 s`, `9 min`, `2 h 05 min`, `3 d 4 h`.

    Less than a minute is said in whole seconds, less than a second as it is.
    """
    if seconds < _MINUTE:
        return f"{seconds:.0f} s" if seconds >= 1 or seconds == 0 else f"{seconds:.1f} s"
    if seconds >= _DAY:
        return duration(seconds)
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
