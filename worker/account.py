"""Whose token it is and what it may do: the one question to the Hub about an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.clock import Clock
from worker.errors import NoWrite
from worker.hubclient import endpoint, patiently

if TYPE_CHECKING:
    from huggingface_hub import HfApi

WRITING_ROLES = frozenset({"admin", "write", "contributor"})


@dataclass(frozen=True, slots=True)
class Namespace:
    """A place repos can be made in, and what the token's owner is there."""

    name: str
    has: Mapping[str, bool | None]
    """Whether it has what a backend may need (`Need`); none where the Hub does not say."""

    may_write: bool


@dataclass(frozen=True, slots=True)
class Account:
    """Whose token it is, and what it may do."""

    name: str
    token_role: str
    """`read`, `write` or `fineGrained`; empty where the Hub does not say."""

    scoped: tuple[Mapping[str, Any], ...]
    """What a fine-grained token may do, and where."""

    namespaces: Mapping[str, Namespace]

    def opens(self, namespace: str) -> bool:
        """Whether its owner may make and write repos there."""
        return namespace in self.namespaces and self.namespaces[namespace].may_write

    def may_write(self, repo_id: str) -> bool:
        """Whether a fine-grained token may write this repo; other tokens' roles say it all."""
        if self.token_role != "fineGrained":
            return self.token_role != "read"
        return any(
            scope.get("entity", {}).get("name") in {owner_of(repo_id), repo_id}
            and "repo.write" in scope.get("permissions", ())
            for scope in self.scoped
        )


def who(hub: HfApi, clock: Clock) -> Account:
    """Ask whose token this is: one call, since the Hub allows few. Raises `NoWrite`, `HubError`."""
    try:
        answer = patiently("asking whose token this is", hub.whoami, clock)
    except NoWrite as error:
        raise bad_token() from error
    name = str(answer["name"])
    token = (answer.get("auth") or {}).get("accessToken") or {}
    own = {"plan": answer.get("isPro"), "credit": answer.get("canPay")}
    places = [Namespace(name, own, may_write=True)]
    places += [_organisation(org) for org in answer.get("orgs") or []]
    return Account(
        name=name,
        token_role=str(token.get("role", "")),
        scoped=tuple((token.get("fineGrained") or {}).get("scoped") or ()),
        namespaces={place.name: place for place in places},
    )


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
    return Namespace(str(org["name"]), has, org.get("roleInOrg") in WRITING_ROLES)
