"""`--train --deploy`: that a job's model can be deployed is checked first; then it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from orchestrator import deploy as flow
from orchestrator.deploy import DeployCheck, Ready
from orchestrator.deploy.model import Deployable, deployable
from orchestrator.exits import FAILED
from orchestrator.flow import Checked
from orchestrator.jobs.records import Record
from orchestrator.preflight.report import Findings
from orchestrator.settings.deploy import DeploySettings, deploy_settings, fixed
from orchestrator.settings.job import JobSettings
from orchestrator.settings.layers import Settings
from orchestrator.terminal.deploy import deploy
from orchestrator.terminal.desk import Desk
from orchestrator.words import count, money
from worker.contract import ModelRef, PushTarget
from worker.errors import BadConfig, HubtrainError
from worker.task import Task
from worker.tasks import typed


@dataclass
class AfterTraining:
    """What is to become of a job's model."""

    settings: DeploySettings
    task: Task[Any]
    fixed: Mapping[str, Any]
    owner: str | None
    repo_id: str = ""
    """Where the job's model goes, once that has been checked."""

    ready: Ready | None = None
    """What would be sent for the deployment; none before that is checked, or of a job left."""

    @classmethod
    def of(cls, settings: Settings, task: Task[Any], job: JobSettings) -> AfterTraining:
        """Return what the settings say. Raises `BadConfig` where no deployment could follow."""
        if not job.push_to_hub:
            raise BadConfig("--deploy needs the trained model on the Hub.", fix="--push-to-hub")
        if not task.has_page:
            raise BadConfig(f"models of {typed(task.name)} cannot be deployed.")
        found = deploy_settings(settings, trains=True)
        return cls(found, task, fixed(settings, [task]), job.username)

    def possible(self, desk: Desk, checked: Checked, *, detach: bool) -> bool:
        """Say what a deployment of the model would be, by its base; false if it could not be."""
        push, base = checked.report.push, checked.report.model
        if push is None or base is None:
            raise BadConfig(f"models of {typed(self.task.name)} cannot be deployed.")
        self.repo_id = push.repo_id
        findings = Findings()
        alone = getattr(checked.asked.params, "adapter_alone", False)
        find = partial(self._made, desk, base, push, adapter=alone)
        checked_deploy = flow.check(desk, self.settings, find, self.owner)
        findings.add(checked_deploy.findings)
        self.ready = None if detach else checked_deploy.ready
        if detach:
            text = "nothing is deployed after a job that is left"
            findings.warn("backend", text, f"hubtrain deploy {push.repo_id}, once it has succeeded")
        desk.screen.say("", f"Deployment of {push.repo_id}, once it is trained:")
        found = findings.in_order()
        desk.screen.findings(found)
        with desk.screen.one_document("deployment"):
            planned = DeployCheck(tuple(found), self.ready)
            told = planned.document().model_copy(update={"ok": not findings.wrong})
            desk.screen.document(told.model_dump())
        if findings.wrong:
            wrong = sum(finding.level == "error" for finding in found)
            desk.screen.say(f"{count(wrong, 'thing')} to mend. Nothing was created.")
            if desk.as_json:
                from orchestrator.api.errors import of_findings

                said = of_findings(found).model_dump()
                desk.screen.document(said | {"report": checked.report.to_json()})
        return not findings.wrong

    def plan(self) -> str:
        """Return the step that follows the job, as a plan shows it; empty where none does."""
        if self.ready is None:
            return ""
        where, flavor = self.ready.handle, self.ready.flavor
        price = f"{money(flavor.usd_per_hour)}/h" if flavor.usd_per_hour else "free"
        return f"Then   {self.repo_id} is deployed as {where} on {flavor.name} ({price})"

    def _made(self, desk: Desk, base: ModelRef, push: PushTarget, *, adapter: bool) -> Deployable:
        """Return the model that the job will have made, by the one it starts from."""
        found = deployable(desk, base.name, self.task, self.fixed)
        return replace(
            found,
            ref=ModelRef(name=push.repo_id),
            base=base if adapter else None,
            private=push.private,
            needs_token=found.needs_token or push.private,
            is_there=False,
        )

    def follow(self, desk: Desk, record: Record) -> int:
        """Deploy a job's model; returns the exit code. What goes wrong is told beside its end."""
        desk.screen.say("", f"Deploying {self.repo_id}")
        how = (self.settings, self.repo_id, self.task, self.fixed)
        with desk.screen.one_document("deployment"):
            try:
                return deploy(desk, *how, owner=self.owner)
            except HubtrainError as error:
                desk.screen.error(error.message, error.fix, exit_code=FAILED)
                return FAILED
