"""What a job asks of its token, what the token may do beside it, and how to make a smaller one.

The machine that trains gets the token, and what runs there can use it: one that can do less can do
less harm. What is lacking is an error, what is too much a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from orchestrator.words import listed
from worker.account import READ, RUN_JOBS, WRITE, Account, owner_of
from worker.hubclient import endpoint
from worker.task import Finding

_IN_WORDS = {
    "inference.serverless.write": "call paid inference",
    "inference.endpoints.write": "manage Inference Endpoints",
    "inference.endpoints.infer.write": "call Inference Endpoints",
    "discussion.write": "write in discussions",
    "collection.write": "change collections",
    "user.webhooks.write": "change webhooks",
    "user.notifications.write": "change notifications",
    "org.write": "change settings of the organisation",
    "org.serviceAccounts.write": "change service accounts",
    "resourceGroup.write": "change resource groups",
    WRITE: "write repos",
    RUN_JOBS: "start Jobs",
}
"""What a permission of the Hub's allows; one that is not here is called by its name."""


@dataclass(frozen=True, slots=True)
class Asks:
    """What a job asks of its token."""

    owner: str
    """Namespace of its repos, which also pays."""

    writes: tuple[str, ...] = ()
    """Repos it makes or writes; one whose name is not known yet ends with `…`."""

    permissions: tuple[str, ...] = ()
    """What else it does in the namespace, in the Hub's words: `job.write`."""

    gated: bool = False
    """Whether its model is behind a gate."""

    @property
    def makes_repos(self) -> bool:
        """Whether it makes repos that no token can have been made for."""
        return any(repo.endswith("…") for repo in self.writes)

    @property
    def in_words(self) -> str:
        """Return what it does, for people."""
        written = f"write repos of {self.owner}" if self.makes_repos else ""
        written = written or (f"write {listed(self.writes)}" if self.writes else "")
        rest = (f"{_words(permission)} as {self.owner}" for permission in self.permissions)
        return " and ".join(filter(None, (written, *rest)))


def lacking(account: Account, asks: Asks) -> Iterator[str]:
    """Yield what a fine-grained token is not allowed that the job asks of it, in words."""
    if refused := [repo for repo in asks.writes if not account.may(WRITE, repo)]:
        yield f"this fine-grained token may not write {listed(refused)}: it lacks `{WRITE}` there."
    for permission in asks.permissions:
        if not account.may(permission, asks.owner):
            what = f"may not {_words(permission)} as {asks.owner}"
            yield f"this fine-grained token {what}: it lacks `{permission}` there."


def unseen(account: Account | None, name: str) -> str:
    """Return why a repo of one's own may look as if it were not there; empty for no such reason."""
    if account is None or owner_of(name) not in account.namespaces or account.may(READ, name):
        return ""
    return f" This fine-grained token lacks `{READ}` there, without which private ones are hidden."


def check_size(account: Account, asks: Asks) -> list[Finding]:
    """Return the warning of a token that can do more than the job asks of it, where it can."""
    if not (more := too_much(account, asks)):
        return []
    text = (
        f"the machine gets this token, which may {listed(more)}, and the job only has to "
        f"{asks.in_words}."
    )
    return [Finding("warn", "account", text, f"a smaller one: {smaller(account, asks)}")]


def too_much(account: Account, asks: Asks) -> list[str]:
    """Return what a token may do that the job does not need, for people; empty for a small one."""
    if account.token_role == "write":
        return [f"do all that {account.name} may in {listed(account.namespaces)}"]
    if not account.fine_grained:
        return []
    found: dict[str, list[str]] = {}
    for right in account.rights:
        for permission in sorted(_writing(right.permissions)):
            if not _needed(permission, right.where, asks):
                found.setdefault(_words(permission), []).append(right.where or "everywhere")
    return [f"{what} ({listed(dict.fromkeys(where))})" for what, where in found.items()]


def _needed(permission: str, where: str, asks: Asks) -> bool:
    if permission in asks.permissions:
        return where == asks.owner
    if permission != WRITE:
        return False
    return where in asks.writes or (where == asks.owner and asks.makes_repos)


def _writing(permissions: Iterable[str]) -> Iterator[str]:
    """Yield the permissions that change something or cost something."""
    return (one for one in permissions if not one.endswith(".read"))


def _words(permission: str) -> str:
    return _IN_WORDS.get(permission, permission)


def smaller(account: Account, asks: Asks) -> str:
    """Return how to make a token that can do what the job needs and no more.

    The Hub's form takes what is to be ticked from its address; a token for single repos has to be
    given them there by hand.
    """
    form = [("tokenType", "fineGrained")]
    if asks.gated:
        form.append(("canReadGatedRepos", "true"))
    by_hand = ""
    if asks.makes_repos:
        form += _namespace(asks, own=asks.owner == account.name)
    else:
        by_hand = f", with {READ} and {WRITE} for {listed(asks.writes)}"
    return f"{endpoint()}/settings/tokens/new?{urlencode(form)}{by_hand}, then: hf auth login"


def _namespace(asks: Asks, *, own: bool) -> Iterator[tuple[str, str]]:
    """Yield the permissions of a token for a whole namespace, as the form's address has them.

    Those fields are the ones that https://huggingface.co/changelog/token-presets and the Hub's own
    links to the form use.
    """
    if not own:
        yield "orgs", asks.owner
    field = "ownUserPermissions" if own else "orgPermissions"
    yield from ((field, permission) for permission in (READ, WRITE, *asks.permissions))
