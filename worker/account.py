"""Whose token it is and what it may do: the one question to the Hub about an account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.clock import Clock
from worker.errors import NoWrite
from worker.hubclient import endpoint, patiently

if TYPE_CHECKING:
    from huggingface_hub import HfApi

WRITING_ROLES = frozenset({"admin", "write", "contributor"})

READ, WRITE, RUN_JOBS = "repo.content.read", "repo.write", "job.write"
"""Permissions of fine-grained tokens, in the Hub's words."""

TOKEN_POLICY = "token-policy"
"""Why the Hub keeps a token out of an organisation: it lets only some kinds of tokens in."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A place repos can be made in, and what the token's owner is there."""

    name: str
    has: Mapping[str, bool | None]
    """Whether it has what a backend may need (`Need`); none where the Hub does not say."""

    may_write: bool

    barred_by: tuple[str, ...] = ()
    """Why the organisation lets this token see nothing private: `token-policy`, `sso`, …"""


@dataclass(frozen=True, slots=True)
class Right:
    """What a fine-grained token may do, and where."""

    where: str
    """A namespace, or a repo; empty where it is everywhere."""

    permissions: frozenset[str]

    def covers(self, place: str) -> bool:
        """Whether it counts for a namespace, or for a repo."""
        return self.where in {"", place, owner_of(place)}


@dataclass(frozen=True, slots=True)
class Account:
    """Whose token it is, and what it may do."""

    name: str
    token_role: str
    """`read`, `write` or `fineGrained`; empty where the Hub does not say."""

    rights: tuple[Right, ...]
    """What a fine-grained token may do; none of another, whose role says it all."""

    namespaces: Mapping[str, Namespace]

    reads_gated: bool = True
    """Whether the token opens gated repos of others whose terms its owner has accepted."""

    @property
    def fine_grained(self) -> bool:
        """Whether the token may do what it was given one by one, and nothing else."""
        return self.token_role == "fineGrained"

    def opens(self, namespace: str) -> bool:
        """Whether its owner may make and write repos there."""
        return namespace in self.namespaces and self.namespaces[namespace].may_write

    def may(self, permission: str, place: str) -> bool:
        """Whether the token may do this with a repo or a namespace; its owner may still not."""
        if not self.fine_grained:
            return self.token_role != "read" or permission == READ
        return any(permission in r.permissions for r in self.rights if r.covers(place))


def who(hub: HfApi, clock: Clock) -> Account:
    """Ask whose token this is: one call, since the Hub allows few. Raises `NoWrite`, `HubError`."""
    try:
        return patiently("asking whose token this is", lambda: _account(hub.whoami()), clock)
    except NoWrite as error:
        raise bad_token() from error


def _account(answer: Mapping[str, Any]) -> Account:
    name = str(answer["name"])
    token = (answer.get("auth") or {}).get("accessToken") or {}
    fine = token.get("fineGrained") or {}
    own = {"plan": answer.get("isPro"), "credit": answer.get("canPay")}
    places = [Namespace(name, own, may_write=True)]
    places += [_organisation(org) for org in answer.get("orgs") or []]
    return Account(
        name=name,
        token_role=str(token.get("role", "")),
        rights=tuple(_rights(fine)),
        namespaces={place.name: place for place in places},
        reads_gated=bool(fine.get("canReadGatedRepos", True)),
    )


def _rights(fine: Mapping[str, Any]) -> Iterator[Right]:
    """Yield what a fine-grained token may do, from the Hub's account of it."""
    if everywhere := fine.get("global"):
        yield Right("", frozenset(everywhere))
    for scope in fine.get("scoped") or ():
        place = str((scope.get("entity") or {}).get("name") or "")
        if place:
            yield Right(place, frozenset(scope.get("permissions") or ()))


def no_token(what: str) -> NoWrite:
    """Return what is said where there is no token, and `what` needs one."""
    return NoWrite(
        f"no Hub token, and {what} needs one with write access",
        fix=f"`hf auth login`, or set HF_TOKEN; make one at {endpoint()}/settings/tokens",
    )


def bad_token() -> NoWrite:
    """Return what is said of a token that the Hub does not know."""
    return NoWrite(
        "the Hub does not accept this token: it is mistyped, expired or revoked.",
        fix=f"Make one at {endpoint()}/settings/tokens and `hf auth login`, or set HF_TOKEN.",
    )


def owner_of(repo_id: str) -> str:
    """Return the namespace that a repo is in."""
    return repo_id.split("/", maxsplit=1)[0]


def _organisation(org: Mapping[str, Any]) -> Namespace:
    says = "isEnterprise" in org or "plan" in org
    paid = bool(org.get("isEnterprise") or org.get("plan")) if says else None
    has = {"plan": paid, "credit": org.get("canPay")}
    barred_by = tuple(map(str, org.get("securityRestrictions") or ()))
    return Namespace(str(org["name"]), has, org.get("roleInOrg") in WRITING_ROLES, barred_by)
