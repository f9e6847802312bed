"""Tokens that can do too little for a job, or too much: what is said, and what helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from standins.bench import Bench, bench_of, without_spaces
from standins.localhub import HubServer
from standins.preflight import Asking, errors, model, only_error, said

from backends.handle import Handle
from orchestrator.preflight import CheckReport
from worker.task import Finding

BACKENDS = ("spaces", "jobs")
"""Those whose machines are the Hub's."""


@pytest.fixture(scope="module")
def hub(shared_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> HubServer:
    """A Hub with a model of ann's, one behind a gate, and an organisation of hers."""
    folder = tmp_path_factory.mktemp("models")
    for owner, name in (("ann", "small"), ("ann", "gated"), ("lab", "hidden")):
        shared_hub.api().create_repo(f"{owner}/{name}", private=name == "hidden")
        path = model(folder / name)
        shared_hub.api().upload_folder(repo_id=f"{owner}/{name}", folder_path=path)
    shared_hub.api().update_repo_settings("ann/gated", gated="auto")
    shared_hub.admin("POST", "users", {"name": "dora"})
    shared_hub.admin("POST", "accept", {"repo": "ann/gated", "user": "dora"})
    return shared_hub


@pytest.fixture
def ask(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    return Asking.of(hub, tmp_path, monkeypatch)


def token(hub: HubServer, rights: dict[str, list[str]], user: str = "ann", **more: Any) -> str:
    """Make a fine-grained token: permissions by the namespace or repo they are for."""
    scoped = [
        {"entity": {"type": "model" if "/" in name else "user", "name": name}, "permissions": may}
        for name, may in rights.items()
    ]
    body = {"user": user, "role": "fineGrained", "scoped": scoped, **more}
    return str(hub.admin("POST", "tokens", body)["token"])


def warning(report: CheckReport) -> Finding:
    (found,) = [f for f in report.findings if (f.topic, f.level) == ("account", "warn")]
    return found


def form(finding: Finding) -> dict[str, list[str]]:
    """Return what the link to the Hub's form fills in."""
    address = urlsplit(next(word for word in finding.fix.split() if "://" in word).rstrip(","))
    assert address.path == "/settings/tokens/new"
    return parse_qs(address.query)


def filled_in(hub: HubServer, finding: Finding) -> str:
    """Make the token that the form would make, as it was filled in."""
    asked = form(finding)
    assert asked["tokenType"] == ["fineGrained"]
    rights = {"ann": asked["ownUserPermissions"]} if "ownUserPermissions" in asked else {}
    rights |= {org: asked["orgPermissions"] for org in asked.get("orgs", ())}
    return token(hub, rights, canReadGatedRepos="canReadGatedRepos" in asked)


@pytest.mark.parametrize("owner", ["ann", "lab"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_too_much_is_said_with_the_link_to_a_token_that_is_enough(
    ask: Asking, hub: HubServer, backend: str, owner: str
) -> None:
    job = {"push_to_hub": True, "username": owner}
    told = ask(backend=backend, job=job)
    assert told.ok, errors(told)
    said_of = warning(told)
    starts = f" and start Jobs as {owner}" if backend == "jobs" else ""
    assert said_of.text == (
        "the machine gets this token, which may do all that ann may in ann and lab, and the job "
        f"only has to write repos of {owner}{starts}."
    )
    assert told.to_json()["findings"][1]["fix"] == said_of.fix
    small = filled_in(hub, said_of)
    again = ask(token=small, backend=backend, job=job)
    assert again.ok, errors(again)
    assert not [f for f in again.findings if f.topic == "account" and f.level == "warn"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_small_token_runs_a_job_from_its_launch_to_its_removal(
    ask: Asking, hub: HubServer, backend: str, request: pytest.FixtureRequest
) -> None:
    asked = warning(ask(backend=backend, job={"push_to_hub": True}))
    kind = bench_of(backend)
    with kind.open(request) as bench:
        bench.backend.token = filled_in(hub, asked)
        _runs(bench)
    next(without_spaces(hub), None)


def _runs(bench: Bench) -> None:
    plan = bench.plan(bench.job(lines=3))
    handle: Handle = bench.backend.launch(plan, {"HF_TOKEN": str(bench.backend.token)})
    assert bench.backend.find(plan) == handle
    assert bench.backend.status(handle).stage
    bench.backend.cancel(handle)
    bench.backend.remove(handle)


def test_a_token_for_jobs_has_to_be_allowed_to_start_them(ask: Asking, hub: HubServer) -> None:
    writes = token(hub, {"ann": ["repo.content.read", "repo.write"]})
    wrong = only_error(ask(token=writes, backend="jobs", job={"push_to_hub": True}))
    assert wrong.text == (
        "this fine-grained token may not start Jobs as ann: it lacks `job.write` there."
    )
    assert form(wrong)["ownUserPermissions"] == ["repo.content.read", "repo.write", "job.write"]
    assert not hub.requests(r"/api/jobs/ann$", "POST"), "nothing was rented"


def test_what_a_fine_grained_token_may_beside_the_job_is_named(ask: Asking, hub: HubServer) -> None:
    both = ["repo.content.read", "repo.write"]
    more = [*both, "org.write", "something.new.write"]
    everywhere: dict[str, Any] = {"global": ["inference.serverless.write"]}
    large = token(hub, {"ann": both, "lab": more}, **everywhere)
    told = ask(token=large)
    assert told.ok, errors(told)
    assert warning(told).text == (
        "the machine gets this token, which may call paid inference (everywhere), "
        "change settings of the organisation (lab), write repos (lab) and "
        "something.new.write (lab), and the job only has to write repos of ann."
    )


def test_a_token_that_stays_here_is_nobodys_business(ask: Asking, tmp_path: Path) -> None:
    base = str(model(tmp_path / "mine", parameters=1_000_000))
    told = ask(backend="local", model=base, job={"push_to_hub": True})
    assert not [f for f in told.findings if f.topic == "account" and f.level != "ok"]


def test_a_private_model_that_the_token_may_not_read(ask: Asking, hub: HubServer) -> None:
    blind = token(hub, {"ann": ["repo.content.read", "repo.write"]})
    wrong = only_error(ask(token=blind, model="lab/hidden"))
    assert "This fine-grained token lacks `repo.content.read` there" in wrong.text
    seeing = token(hub, {"ann": ["repo.write"], "lab": ["repo.content.read"]})
    assert ask(token=seeing, model="lab/hidden").ok


def test_a_token_that_opens_no_gates(ask: Asking, hub: HubServer) -> None:
    rights = {"dora": ["repo.content.read", "repo.write"]}
    shut = token(hub, rights, user="dora", canReadGatedRepos=False)
    wrong = only_error(ask(token=shut, model="ann/gated"))
    assert wrong.text == "ann/gated is gated, and this fine-grained token opens no gated repos."
    made = hub.admin("POST", "tokens", {"user": "dora", "role": "write"})["token"]
    told = ask(token=made, model="ann/gated")
    assert told.ok, errors(told)
    assert form(warning(told))["canReadGatedRepos"] == ["true"]


def test_an_organisation_that_lets_in_some_tokens_alone(ask: Asking, hub: HubServer) -> None:
    job = {"push_to_hub": True, "username": "lab"}
    hub.admin("PUT", "policies", {"org": "lab", "tokens": "fineGrained"})
    try:
        wrong = only_error(ask(job=job))
        assert wrong.text == "lab lets in fine-grained tokens alone, and this one may write."
        small = filled_in(hub, wrong)
        assert ask(token=small, job=job).ok
        hub.admin("PUT", "policies", {"org": "lab", "tokens": "approved"})
        wrong = only_error(ask(token=small, job=job))
        assert wrong.text == "lab has not approved this token yet, or has refused it."
        assert "ask an administrator of lab" in wrong.fix
        hub.admin("PUT", "policies", {"org": "lab", "token": small})
        told = ask(token=small, job=job)
        assert told.ok and "token can write lab/bot" in said(told, "account")
    finally:
        hub.admin("PUT", "policies", {"org": "lab", "tokens": "any"})
