"""Which tokens an organisation lets in, by the rule that its administrators have set.

A member whose token is not let in is, with it, no member: the Hub says so in `whoami`, as
`securityRestrictions`.
"""

from __future__ import annotations

from localhub.errors import bad_request
from localhub.storage.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS policies (org TEXT PRIMARY KEY, tokens TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS approvals (
    org TEXT NOT NULL, token TEXT NOT NULL, PRIMARY KEY (org, token));
"""

RESTRICTION = "token-policy"
"""How the Hub calls it in `securityRestrictions`."""

POLICIES = ("any", "fineGrained", "approved")
"""Any token, fine-grained ones alone, or those of them that an administrator has approved."""


class Policies:
    """The rules of all organisations."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.add_schema(SCHEMA)

    def set(self, org: str, tokens: str) -> None:
        """Say which tokens an organisation lets in."""
        if tokens not in POLICIES:
            raise bad_request(f"No such policy: {tokens}. There are: {', '.join(POLICIES)}")
        with self.store.write() as db:
            db.execute("INSERT OR REPLACE INTO policies VALUES (?,?)", (org, tokens))

    def approve(self, org: str, token: str) -> None:
        """Let one token in."""
        with self.store.write() as db:
            db.execute("INSERT OR REPLACE INTO approvals VALUES (?,?)", (org, token))

    def lets_in(self, org: str, token: str, role: str) -> bool:
        """Whether an organisation lets in a token of such a role; without a rule it does."""
        db = self.store.db()
        row = db.execute("SELECT tokens FROM policies WHERE org=?", (org,)).fetchone()
        policy = row["tokens"] if row else "any"
        if policy != "approved":
            return policy in {"any", role}
        asked = "SELECT 1 FROM approvals WHERE org=? AND token=?"
        return role == "fineGrained" and db.execute(asked, (org, token)).fetchone() is not None
