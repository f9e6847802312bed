"""What was expected of a job before it ran: kept with its record, compared with what it took."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Forecast:
    """Time and money of one job: low, expected, high."""

    minutes: tuple[float, float, float]
    usd: tuple[float, float, float]
    usd_at_most: float
    """The high estimate, or what the job's limits cut it off at."""

    plain_minutes: float
    """Expected minutes before earlier runs corrected them; 0 where nothing was known."""

    parameters: float
    """Size of the model; 0 where there is none."""

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Forecast:
        """Return what was written down. Raises `ValueError`, `TypeError` or `KeyError`."""
        told = json.loads(text)
        minutes, usd = tuple(told.pop("minutes")), tuple(told.pop("usd"))
        return cls(minutes, usd, **told)
