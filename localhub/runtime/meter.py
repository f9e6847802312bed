"""What every Space and Job would have cost, to the second: the intervals in which it was billed.

Knows flavors and prices, not why something runs. An interval is opened when a machine starts and
closed when it stops; both are committed before any client is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localhub.clock import stamp
from localhub.runtime.prices import Flavor
from localhub.storage.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS bills (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT NOT NULL,
    ns TEXT NOT NULL, flavor TEXT NOT NULL, usd_per_hour REAL NOT NULL,
    started REAL NOT NULL, ended REAL);
CREATE INDEX IF NOT EXISTS bills_by_name ON bills (kind, name);
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who pays for what: `kind` is space or job, `name` says which one, `ns` whose it is."""

    kind: str
    name: str
    ns: str


class Meter:
    """The bills of one Hub."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.add_schema(SCHEMA)

    def follow(self, tenant: Tenant, flavor: Flavor | None, at: datetime | None = None) -> None:
        """Bill a tenant for a flavor from `at` (now) on; None ends the bill.

        May be repeated: an interval goes on while the flavor stays the same.
        """
        now = (at or datetime.now(UTC)).timestamp()
        with self.store.write() as db:
            open_one = db.execute(
                "SELECT id, flavor FROM bills WHERE kind=? AND name=? AND ended IS NULL",
                (tenant.kind, tenant.name),
            ).fetchone()
            if open_one and flavor and open_one["flavor"] == flavor.name:
                return
            if open_one:
                db.execute(
                    "UPDATE bills SET ended=MAX(started, ?) WHERE id=?", (now, open_one["id"])
                )
            if flavor:
                price = flavor.hourly(space=tenant.kind == "space")
                db.execute(
                    "INSERT INTO bills (kind, name, ns, flavor, usd_per_hour, started)"
                    " VALUES (?,?,?,?,?,?)",
                    (tenant.kind, tenant.name, tenant.ns, flavor.name, price, now),
                )

    def rename(self, kind: str, old: str, new: str) -> None:
        """Let a tenant's bills follow its new name."""
        with self.store.write() as db:
            db.execute("UPDATE bills SET name=? WHERE kind=? AND name=?", (new, kind, old))

    def bills(self) -> list[dict[str, Any]]:
        """Return each tenant's bill, in the order they came."""
        bills: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self.store.db().execute("SELECT * FROM bills ORDER BY id"):
            bill = bills.setdefault(
                (row["kind"], row["name"]),
                {
                    "kind": row["kind"],
                    "name": row["name"],
                    "usd": 0.0,
                    "seconds": 0.0,
                    "running": False,
                    "costing": False,
                    "intervals": [],
                },
            )
            self._add(bill, row["flavor"], row["usd_per_hour"], row["started"], row["ended"])
        return list(bills.values())

    @staticmethod
    def _add(
        bill: dict[str, Any], flavor: str, price: float, started: float, ended: float | None
    ) -> None:
        until = datetime.now(UTC).timestamp() if ended is None else ended
        seconds = until - started
        usd = seconds / 3600 * price
        bill["usd"] += usd
        bill["seconds"] += seconds
        bill["running"] |= ended is None
        bill["costing"] |= ended is None and price > 0
        bill["intervals"].append(
            {
                "flavor": flavor,
                "usdPerHour": price,
                "started": stamp(datetime.fromtimestamp(started, UTC)),
                "ended": None if ended is None else stamp(datetime.fromtimestamp(ended, UTC)),
                "seconds": seconds,
                "usd": usd,
            }
        )
