"""What the Python API raises beside the errors of hubtrain itself, and `JobFailed`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.errors import BadConfig, HubtrainError
from worker.finding import why_refused

if TYPE_CHECKING:
    from orchestrator.api.documents import Checked
    from orchestrator.deploy import DeployCheck
    from orchestrator.deploy.documents import DeploymentPlan
    from orchestrator.preflight.report import CheckReport


class CheckFailed(BadConfig):
    """The check before a job or a deployment found something to mend; nothing was created."""

    def __init__(self, report: CheckReport | DeployCheck | Checked | DeploymentPlan) -> None:
        super().__init__(why_refused(report.findings))
        self.report = report
        """All that the check found."""


class WaitTimeout(HubtrainError, TimeoutError):
    """A job has not ended within the time that `wait` was given. It goes on."""
