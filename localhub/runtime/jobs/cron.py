"""When a schedule is due: `@daily` and its like, and the five fields of cron, in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta

NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Lowest and highest value of minute, hour, day, month and day of the week."""

DAYS_AHEAD = 366 * 8
"""Days within which any schedule is due at least once: 29 February can take eight years."""


class Schedule:
    """A schedule as written; ValueError if it cannot be read, or if it is never due."""

    def __init__(self, text: str) -> None:
        fields = NAMED.get(text, text).split()
        if len(fields) != len(LIMITS):
            raise ValueError(f"{text!r} is neither one of {', '.join(NAMED)} nor five cron fields")
        pairs = zip(fields, LIMITS, strict=True)
        self.minutes, self.hours, self.days, self.months, weekdays = (
            _values(field, *limits) for field, limits in pairs
        )
        self.weekdays = {day % 7 for day in weekdays}
        self.either = fields[2] != "*" and fields[4] != "*"
        self.text = text
        self.after(datetime(2026, 1, 1))

    def after(self, moment: datetime) -> datetime:
        """Return the first time later than `moment`."""
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(DAYS_AHEAD):
            for hour in sorted(self.hours) if self._on(day) else ():
                for minute in sorted(self.minutes):
                    time = day.replace(hour=hour, minute=minute)
                    if time > moment:
                        return time
            day += timedelta(days=1)
        raise ValueError(f"the schedule {self.text!r} never comes round")

    def _on(self, day: datetime) -> bool:
        """Return whether a day is meant: with both fields given, either is enough, as in cron."""
        in_month = day.day in self.days
        in_week = day.isoweekday() % 7 in self.weekdays
        fits = in_month or in_week if self.either else in_month and in_week
        return day.month in self.months and fits


def _values(field: str, low: int, high: int) -> set[int]:
    """Return what a field stands for: `*`, `5`, `1-5`, `*/10`, `10-40/5`, and lists of these."""
    values: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        start = int(first)
        end = int(last) if last else (high if step else start)
        if not low <= start <= end <= high:
            raise ValueError(f"{part!r} is not between {low} and {high}")
        values |= set(range(start, end + 1, int(step or 1)))
    return values
