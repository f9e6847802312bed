"""Whether the token and the account allow what a job does: who pays, and what is written."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import backends
from backends.base import Need
from orchestrator.preflight import token
from orchestrator.preflight.report import Findings, Held
from orchestrator.preflight.token import Asks
from orchestrator.words import already
from worker.account import TOKEN_POLICY, Account, Namespace, owner_of
from worker.clock import Clock
from worker.errors import NotThere
from worker.hubclient import endpoint, patiently
from worker.manifest import spec_in
from worker.output import MANIFEST_FILE, made_by, would_lose

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_CALLED = {"plan": "paid plan", "credit": "credit"}
"""What a `Need` asks for, in words."""


def _refuse_closed(account: Account, closed: list[str], owner: str, findings: Findings) -> None:
    can = [name for name in account.namespaces if account.opens(name)]
    for name in closed:
        what = "may only read in" if name in account.namespaces else "is no member of"
        flag = f"--username {can[0]}" if name == owner else f"--repo-id {can[0]}/NAME"
        findings.error("account", f"{account.name} {what} {name}.", flag if can else "")


def check_account(
    account: Account,
    asked: Asks,
    findings: Findings,
    needs: tuple[Need, ...] = (),
    places: Iterable[str] | None = None,
) -> None:
    """Find whether a token may do what is asked of it, and whether the owner has what it takes.

    `needs` are those of the backend: what the namespace that pays must have. `places` are the
    backends that may be advised instead, all if not given.
    """
    owner, writes = asked.owner, asked.writes
    target = writes[0] if writes else owner
    accounts = dict.fromkeys([owner, *map(owner_of, writes)])
    if barred := [n for n in accounts if _bars_token(account, n)]:
        _refuse_barred(account, barred, asked, findings)
    elif closed := [n for n in accounts if not account.opens(n)]:
        _refuse_closed(account, closed, owner, findings)
    elif account.token_role == "read":
        text = f"this token can read but not write. Make one with write access to {target}"
        findings.error("account", f"{text} at {endpoint()}/settings/tokens")
    elif lacks := list(token.lacking(account, asked)):
        for text in lacks:
            findings.error("account", text, token.smaller(account, asked))
    else:
        others = backends.names() if places is None else list(places)
        _check_needs(account, account.namespaces[owner], target, findings, needs, others=others)


def _bars_token(account: Account, name: str) -> bool:
    return name in account.namespaces and TOKEN_POLICY in account.namespaces[name].barred_by


def _refuse_barred(account: Account, barred: list[str], asked: Asks, findings: Findings) -> None:
    """Tell that an organisation does not let this token in, though its owner is a member."""
    for name in barred:
        if account.fine_grained:
            text = f"{name} has not approved this token yet, or has refused it."
            fix = f"ask an administrator of {name}: {endpoint()}/organizations/{name}/settings"
        else:
            text = (
                f"{name} lets in fine-grained tokens alone, and this one may {account.token_role}."
            )
            fix = token.smaller(account, asked)
        findings.error("account", text, fix)


def _check_needs(
    account: Account,
    payer: Namespace,
    target: str,
    findings: Findings,
    needs: tuple[Need, ...],
    *,
    others: Iterable[str],
) -> None:
    lacking = [need for need in needs if meets(payer, need) is False]
    for need in lacking:
        findings.error("account", lacks(account, payer, need), _without(need, payer, others))
    if lacking:
        return
    plan = " (PRO)" if account.namespaces[account.name].has["plan"] else ""
    parts = [f"{account.name}{plan}", f"token can write {target}"]
    parts += [need.granted for need in needs if meets(payer, need)]
    findings.ok("account", " · ".join(parts))


def meets(account: Namespace, need: Need) -> bool | None:
    """Whether an account has what a backend needs; none where the Hub does not say."""
    if need.instead and account.has.get(need.instead):
        return True
    return account.has.get(need.what)


def lacks(account: Account, payer: Namespace, need: Need) -> str:
    """Return what to say of an account that has not got what a backend needs."""
    where = f"{endpoint()}/{_page(need, own=payer.name == account.name)}"
    return f"{need.refusal}, and {payer.name} has none: {where}"


def _page(need: Need, *, own: bool) -> str:
    """Return where on the Hub an account gets what it lacks."""
    if need.what == "credit":
        return "settings/billing"
    return "pro" if own else "enterprise"


def _without(need: Need, payer: Namespace, others: Iterable[str]) -> str:
    """Return which backends an account may use that do not need it; empty if there are none."""
    able = [
        name
        for name in others
        if all(
            other.what != need.what and meets(payer, other) is not False
            for other in backends.load(name).needs
        )
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
        held = would_lose(s.rfilename for s in info.siblings or [])
        if held and not overwrite:
            told = None
            if MANIFEST_FILE in held:
                ask = partial(hub.hf_hub_download, repo_id, MANIFEST_FILE, revision=info.sha)
                path = Path(patiently(f"reading {MANIFEST_FILE} of {repo_id}", ask, clock))
                told = path.read_text(encoding="utf-8", errors="replace")
            spec = spec_in(told) if told else None
            findings.held.append(Held(already(repo_id, held), made_by(told), spec))

    findings.attempt("account", look)
    return findings
