"""The check before anything is rented: free, in seconds, all errors at once.

Each part checks one thing and knows nothing of the others. Parts that do not depend on each other
run at the same time. An error in one part becomes a finding, and the other parts continue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from backends.base import Backend, Flavor
from orchestrator.data.sources import DATA_PREFIX, NO_ROWS, DataSource, find, is_local
from orchestrator.data.sources.earlier import find_earlier
from orchestrator.preflight.account import check_account, check_target
from orchestrator.preflight.compare import Compared, Offer, offers
from orchestrator.preflight.data import check_data, measure
from orchestrator.preflight.estimate import Estimate
from orchestrator.preflight.evaluation import check_evaluation
from orchestrator.preflight.inspecting import Budget, Inspector
from orchestrator.preflight.lookup import find_model, is_folder
from orchestrator.preflight.machine import Choice, check_machine
from orchestrator.preflight.model import (
    NONE_NEEDED,
    BaseModel,
    FoundModel,
    check_model,
    facts_of,
)
from orchestrator.preflight.pace import History
from orchestrator.preflight.progress import Progress, unheard
from orchestrator.preflight.project import allowed, check_output, check_project, is_repo_id
from orchestrator.preflight.report import CheckReport, Facts, Findings, Held
from orchestrator.preflight.request import CheckRequest
from orchestrator.preflight.settings import check_settings
from orchestrator.preflight.start import find_start
from orchestrator.preflight.token import Asks, check_size
from worker.account import Account, no_token, who
from worker.clock import Clock
from worker.contract import PushTarget
from worker.errors import BadConfig, HubtrainError
from worker.facts import ModelFacts
from worker.reading import Measured
from worker.task import DataReport

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = [
    "CheckReport",
    "CheckRequest",
    "Compared",
    "Estimate",
    "Facts",
    "Findings",
    "Held",
    "Offer",
    "check",
    "compare",
]


def check(
    request: CheckRequest,
    hub: HfApi | None,
    backend: Backend[Any],
    clock: Clock,
    *,
    budget: Budget = Budget(),  # noqa: B008 (frozen)
    tell: Callable[[str], None] = unheard,
    history: History = History(),  # noqa: B008 (frozen)
) -> CheckReport:
    """Check a job and return the report. The user's errors are findings, not exceptions.

    `budget` limits the memory and time for reading the examples. `tell` is called from several
    threads with what is being checked. `history` is how long earlier runs took.
    """
    started = clock.monotonic()
    with Inspector(request.task, budget) as inspector, ThreadPoolExecutor(8) as pool:
        checking = _Check(request, hub, backend, clock, pool, inspector, Progress(tell), history)
        facts = checking.run()
    found = checking.findings
    report = CheckReport(
        findings=found.in_order(),
        seconds=clock.monotonic() - started,
        facts=None if found.wrong else facts,
        held=tuple(found.held),
        data=checking.data,
    )
    return report if report.ok else report.refused()


def compare(
    request: CheckRequest,
    hub: HfApi | None,
    backend: Backend[Any],
    others: Sequence[Backend[Any]],
    clock: Clock,
    *,
    tell: Callable[[str], None] = unheard,
    history: History = History(),  # noqa: B008 (frozen)
) -> Compared:
    """Return time and cost of a job of `backend` on each machine of `others`. Raises nothing."""
    with Inspector(request.task, Budget()) as inspector, ThreadPoolExecutor(8) as pool:
        checking = _Check(request, hub, backend, clock, pool, inspector, Progress(tell), history)
        found = checking.compare(others)
    return Compared(found, checking.findings.in_order(), tuple(checking.silent))


@dataclass
class _Check:
    """One check: its running parts, and their findings so far."""

    request: CheckRequest
    hub: HfApi | None
    backend: Backend[Any]
    clock: Clock
    pool: ThreadPoolExecutor
    inspector: Inspector
    doing: Progress
    history: History

    def __post_init__(self) -> None:
        self.findings = Findings()
        self.pinned: dict[str, Any] = {}
        """Settings that name models other than the base, each pinned to its current commit."""

        self.others: dict[str, ModelFacts] = {}
        self.silent: list[str] = []
        self.data: DataReport | None = None

    def run(self) -> Facts | None:
        source = self.pool.submit(self._source)
        flavors = self.pool.submit(self.backend.flavors)
        account = self.pool.submit(self._account)
        model = self.pool.submit(self._model, account)
        target = self.pool.submit(self._target, account)
        check_project(self.request, self.backend, self.findings)
        self._beginning_and_output()
        self.findings.attempt("backend", partial(self.backend.require, self.request.extras))
        owner, push = self._account_found(account, target)
        found_model, of_model = model.result()
        self.findings.merge(of_model)
        other = partial(self._other_model, account)
        self.findings.merge(check_settings(self.request, self.backend, found_model, other))
        if found_model is not None and self.others:
            facts = replace(found_model.facts, others=self.others)
            found_model = replace(found_model, facts=facts)
        self._token_is_small(account, push, gated=found_model is not None and found_model.gated)
        data = self._data(source, found_model)
        offered = self.findings.attempt("backend", lambda: self._given(flavors.result()))
        if found_model is None or data is None or not offered:
            return None
        chosen = self._machine(found_model, data, offered)
        if chosen is None:
            return None
        return Facts(
            source=source.result()[0],
            model=found_model.ref,
            flavor=chosen.flavor,
            estimate=chosen.estimate,
            parallel=chosen.parallel,
            data=data,
            owner=owner,
            push=push,
            unit=self.request.task.unit(self.request.params),
            pinned=self.pinned,
            parameters=found_model.facts.parameters,
        )

    def _beginning_and_output(self) -> None:
        """Check the checkpoint that the job starts from, and the folder that gets its model."""
        request = self.request
        start = request.earlier.start if request.earlier else None
        if start is not None:
            look = partial(find_start, request, start, self.backend, self.hub, self.clock)
            self.findings.add(self.findings.attempt("resume", look) or ())
        if request.output is not None and allowed(request.project):
            continued = start.jobs if start else ()
            check_output(request.output, request.job.overwrite, continued, self.findings)

    def compare(self, others: Sequence[Backend[Any]]) -> tuple[Offer, ...]:
        """Check model and examples once, and return time and cost on every machine."""
        source, account = self.pool.submit(self._source), self.pool.submit(self._account)
        lists = [(backend, self.pool.submit(backend.flavors)) for backend in others]
        model, of_model = self._model(account)
        self.findings.merge(of_model)
        data = self._data(source, model)
        answered = []
        for backend, asked in lists:
            try:
                machines = asked.result()
                mine = backend is self.backend  # with settings that others do not have
                answered.append((backend, self._given(machines) if mine else machines))
            except HubtrainError as error:
                self.findings.warn(backend.name, error.message, error.fix)
                self.silent.append(backend.name)
        if model is None or data is None:
            return ()
        found = offers(self.request, model, data, answered, self.history)
        if any(not offer.choice.estimate.known for offer in found):
            text = "how long it takes is not known: these are prices of its limit, or of a day"
            self.findings.warn("price", text, "--max-duration 2h, or --max-cost")
        return found

    @property
    def _needs_account(self) -> str:
        """The part of the job that needs an account of the Hub; empty if none does."""
        if self.backend.on_hub or not self.backend.sees_my_files:
            return self.backend.name
        return "--push-to-hub" if self.request.job.push_to_hub else ""

    def _account(self) -> Account | None:
        if not (what := self._needs_account):
            return None
        if self.hub is None or not self.request.token_given:
            raise no_token(what)
        with self.doing("account"):
            return who(self.hub, self.clock)

    def _owner(self, account: Account | None) -> str | None:
        return self.request.owner or (account.name if account else None)

    def _target(self, account: Future[Account | None]) -> Findings:
        """Check the model repo, once its owner is known."""
        if account.exception() or self.hub is None:
            return Findings()
        known = account.result()
        push = self.request.job.push_target(self._owner(known)) if known else None
        if push is None or not is_repo_id(push.repo_id):
            return Findings()
        return check_target(self.hub, push.repo_id, push.overwrite, self.clock)

    def _account_found(
        self, account: Future[Account | None], target: Future[Findings]
    ) -> tuple[str | None, PushTarget | None]:
        known = self.findings.attempt("account", account.result)
        owner = self._owner(known)
        push = self.request.job.push_target(owner) if owner else None
        if known is not None and owner is not None:
            rights = Findings()
            asks = self._asks(owner, push)
            check_account(known, asks, rights, self.backend.needs, self.request.places)
            self.findings.merge(rights)
            if not rights.wrong:
                self.findings.merge(target.result())
        return owner, push

    def _asks(self, owner: str, push: PushTarget | None) -> Asks:
        """Return the permissions that the job needs of its token."""
        writes = [push.repo_id] if push else []
        writes += self.backend.writes(owner, self.request.project)
        if self._sends_data:
            writes.append(f"{owner}/{DATA_PREFIX}…")
        return Asks(owner, tuple(writes), self.backend.permissions)

    @property
    def _sends_data(self) -> bool:
        """Whether the job uploads examples or files of this machine to a dataset."""
        request, earlier = self.request, self.request.earlier
        if self.backend.sees_my_files:
            return False
        if earlier and earlier.data:
            return any(ref and ref.repo_id is None for ref in (earlier.data, earlier.files))
        rows = request.task.reads_rows and is_local(request.params.data_path)
        return rows or bool(request.along)

    def _token_is_small(
        self, account: Future[Account | None], push: PushTarget | None, *, gated: bool
    ) -> None:
        """Warn if the token leaves this machine and has more permissions than the job needs."""
        known = _known(account)
        if known is None or self.backend.sees_my_files:
            return
        asks = replace(self._asks(str(self._owner(known)), push), gated=gated)
        self.findings.add(check_size(known, asks))

    def _model(self, account: Future[Account | None]) -> tuple[BaseModel | None, Findings]:
        task, params = self.request.task, self.request.params
        earlier = self.request.earlier
        name = earlier.model.asked if earlier and earlier.model else task.base(params)
        if name is None:
            return NONE_NEEDED, Findings()
        look = partial(self._look_for_model, account, "--model", name)
        trusted = bool(getattr(params, "trust_remote_code", False))
        with self.doing(f"model {name}"):
            return check_model(look, partial(task.check_model, params), trusted, task.model_reads)

    def _look_for_model(self, account: Future[Account | None], flag: str, name: str) -> FoundModel:
        whose, reads = partial(_known, account), self.request.task.model_reads
        found = find_model(name, whose, self.hub, self.clock, reads)
        if is_folder(name) and not self.backend.sees_my_files:
            raise BadConfig(
                f"{flag} {name} is a folder of this machine, which {self.backend.name} cannot "
                "read.",
                fix=f"hf upload OWNER/NAME {name}, then {flag} OWNER/NAME",
            )
        return found

    def _other_model(self, account: Future[Account | None], flag: str, name: str) -> ModelFacts:
        with self.doing(f"model {name}"):
            try:
                found = self._look_for_model(account, flag, name)
                facts = self.others[name] = facts_of(found)
            except HubtrainError as error:
                error.fix = error.fix.replace("--model ", f"{flag} ")
                raise
        if commit := found.ref.revision:
            self._pin(flag, name, f"{found.ref.name}@{commit}")
        return facts

    def _pin(self, flag: str, name: str, pinned: str) -> None:
        """Pin the model that a setting names, or one of several, to its current commit."""
        setting = flag.removeprefix("--").replace("-", "_")
        said = self.pinned.get(setting, getattr(self.request.params, setting))
        whole = isinstance(said, str)
        self.pinned[setting] = pinned if whole else [pinned if n == name else n for n in said]

    def _source(self) -> tuple[DataSource, dict[str, Measured]]:
        earlier = self.request.earlier
        if not self.request.task.reads_rows:
            return NO_ROWS, {}
        with self.doing(f"rows of {self.request.params.data_path}"):
            if earlier and earlier.data:
                source = find_earlier(earlier.data, self.hub, resumes=earlier.start is not None)
            else:
                source = find(self.request.params, self.hub, self.request.task.media)
            return source, measure(source)

    def _data(
        self, source: Future[tuple[DataSource, dict[str, Measured]]], model: BaseModel | None
    ) -> DataReport | None:
        found = self.findings.attempt("data", source.result)
        if found is None:
            return None
        params = self.request.params
        task = self.request.task
        with self.doing(f"{task.unit(params)} of the examples" if task.reads_rows else task.name):
            report, of_data = check_data(self.inspector, params, *found, model)
        self.findings.merge(of_data)
        self.data = report
        return report

    def _given(self, flavors: list[Flavor]) -> list[Flavor]:
        return [self.backend.given(flavor, self.request.options) for flavor in flavors]

    def _machine(self, model: BaseModel, data: DataReport, offered: list[Flavor]) -> Choice | None:
        chosen, of_machine = check_machine(
            self.request, model, data, offered, self.backend, self.history
        )
        self.findings.merge(of_machine)
        if chosen:
            what = self.request.task.evaluates(self.request.params)
            self.findings.add(check_evaluation(what, model.facts, chosen.parallel, chosen.capacity))
        return chosen


def _known(account: Future[Account | None]) -> Account | None:
    return None if account.exception() else account.result()
