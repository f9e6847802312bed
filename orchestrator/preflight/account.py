"""Who pays and writes, and whether the token and the account allow what the job does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import backends
from backends.base import Need
from orchestrator.preflight.report import Findings, Held
from orchestrator.words import already
from worker.clock import Clock
from worker.errors import NotThere, NoWrite
from worker.hubclient import endpoint, patiently
from worker.output import MANIFEST_FILE, made_by

if TYPE_CHECKING:
    from huggingface_hub import HfApi

WRITING_ROLES = frozenset({"admin", "write", "contributor"})

_CALLED = {"plan": "paid plan", "credit": "credit"}
"""What a `Need` is of, in words."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A place repos can be made in, and what the token's owner is there."""

    name: str
    has: Mapping[str, bool | None]
    """Whether it has what a `Need` may ask for; none where the Hub does not say."""

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
            scope.get("entity", {}).get("name") in {_owner_of(repo_id), repo_id}
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


def bad_token() -> NoWrite:
    """Return what is said of a token that the Hub does not know."""
    return NoWrite(
        "the Hub does not accept this token: it is mistyped, expired or revoked.",
        fix=f"Make one at {endpoint()}/settings/tokens and `hf auth login`, or set HF_TOKEN.",
    )


def _owner_of(repo_id: str) -> str:
    return repo_id.split("/", maxsplit=1)[0]


def _refuse_closed(account: Account, closed: list[str], owner: str, findings: Findings) -> None:
    can = [name for name in account.namespaces if account.opens(name)]
    for name in closed:
        what = "may only read in" if name in account.namespaces else "is no member of"
        flag = f"--username {can[0]}" if name == owner else f"--repo-id {can[0]}/NAME"
        findings.error("account", f"{account.name} {what} {name}.", flag if can else "")


def _organisation(org: Mapping[str, Any]) -> Namespace:
    says = "isEnterprise" in org or "plan" in org
    paid = bool(org.get("isEnterprise") or org.get("plan")) if says else None
    has = {"plan": paid, "credit": org.get("canPay")}
    return Namespace(str(org["name"]), has, org.get("roleInOrg") in WRITING_ROLES)


def check_account(
    account: Account,
    owner: str,
    writes: tuple[str, ...],
    findings: Findings,
    needs: tuple[Need, ...] = (),
) -> None:
    """Find whether `account` may write the repos `writes`, and whether `owner` has what it needs.

    `needs` are those of the backend: what the namespace that pays must have.
    """
    tokens = f"{endpoint()}/settings/tokens"
    target = writes[0] if writes else owner
    closed = [n for n in dict.fromkeys([owner, *map(_owner_of, writes)]) if not account.opens(n)]
    if closed:
        _refuse_closed(account, closed, owner, findings)
    elif account.token_role == "read":
        findings.error(
            "account",
            f"this token can read but not write. Make one with write access to {target} at "
            f"{tokens}",
        )
    elif refused := [repo for repo in writes if not account.may_write(repo)]:
        findings.error(
            "account",
            f"this fine-grained token may not write {', '.join(refused)}. Give it write access to "
            f"the repos of {owner} at {tokens}",
        )
    else:
        _check_needs(account, account.namespaces[owner], target, findings, needs)


def _check_needs(
    account: Account, payer: Namespace, target: str, findings: Findings, needs: tuple[Need, ...]
) -> None:
    lacking = [need for need in needs if payer.has.get(need.what) is False]
    for need in lacking:
        where = f"{endpoint()}/{_page(need, own=payer.name == account.name)}"
        text = f"{need.refusal}, and {payer.name} has none: {where}"
        findings.error("account", text, _without(need))
    if lacking:
        return
    plan = " (PRO)" if account.namespaces[account.name].has["plan"] else ""
    parts = [f"{account.name}{plan}", f"token can write {target}"]
    parts += [need.granted for need in needs if payer.has.get(need.what)]
    findings.ok("account", " · ".join(parts))


def _page(need: Need, *, own: bool) -> str:
    """Return where on the Hub an account gets what it lacks."""
    if need.what == "credit":
        return "settings/billing"
    return "pro" if own else "enterprise"


def _without(need: Need) -> str:
    """Return which backends there are that do not need it; empty if there are none."""
    able = [
        name
        for name in backends.names()
        if need.what not in {other.what for other in backends.load(name).needs}
    ]
    return f"--backend {' or '.join(able)} needs no {_CALLED[need.what]}" if able else ""


def check_target(hub: HfApi, repo_id: str, overwrite: bool, clock: Clock) -> Findings:
    """Find whether the model repo can take the model: absent, empty, or to be written over."""
    findings = Findings()

    def look() -> None:
        try:
            info = patiently(f"looking at {repo_id}", partial(hub.model_info, repo_id), clock)
        except NotThere:
            return
        patiently(f"writing {repo_id}", partial(hub.auth_check, repo_id, write=True), clock)
        held = [s.rfilename for s in info.siblings or [] if s.rfilename != ".gitattributes"]
        if held and not overwrite:
            job_id = None
            if MANIFEST_FILE in held:
                ask = partial(hub.hf_hub_download, repo_id, MANIFEST_FILE, revision=info.sha)
                path = Path(patiently(f"reading {MANIFEST_FILE} of {repo_id}", ask, clock))
                job_id = made_by(path.read_text(encoding="utf-8"))
            findings.held.append(Held(already(repo_id, held), job_id))

    findings.attempt("account", look)
    return findings
