"""The messages between laptop and rented machine: a `JobSpec` goes out, `Event`s come back.

Standard library and pydantic only. Nothing here knows how a job is launched or trained, and no
field can hold a secret: tokens travel as an argument of `Backend.launch` and nowhere else.
"""

from __future__ import annotations

from worker.contract.deployment import DEPLOYMENT_FILE, Deployment
from worker.contract.events import (
    ENDINGS,
    EVALUATED,
    EVENTS_FILE,
    LOG_TAIL_FILE,
    MARK,
    MARK_VARIABLE,
    SAVED,
    VALID,
    CancelAsked,
    Checkpoint,
    Chosen,
    Created,
    Event,
    Failed,
    Finished,
    Launched,
    Metric,
    Observed,
    Phase,
    Progress,
    Pushed,
    Started,
    Stopped,
    from_line,
    from_marked,
    marked,
    to_line,
)
from worker.contract.job import JOB_FILE, DataRef, JobSpec, Limits, Machine, ModelRef, PushTarget
from worker.contract.reason import EndReason
from worker.contract.story import Ending, State, Story, ending_of, fold

__all__ = [
    "DEPLOYMENT_FILE",
    "ENDINGS",
    "EVALUATED",
    "EVENTS_FILE",
    "JOB_FILE",
    "LOG_TAIL_FILE",
    "MARK",
    "MARK_VARIABLE",
    "SAVED",
    "VALID",
    "CancelAsked",
    "Checkpoint",
    "Chosen",
    "Created",
    "DataRef",
    "Deployment",
    "EndReason",
    "Ending",
    "Event",
    "Failed",
    "Finished",
    "JobSpec",
    "Launched",
    "Limits",
    "Machine",
    "Metric",
    "ModelRef",
    "Observed",
    "Phase",
    "Progress",
    "PushTarget",
    "Pushed",
    "Started",
    "State",
    "Stopped",
    "Story",
    "ending_of",
    "fold",
    "from_line",
    "from_marked",
    "marked",
    "to_line",
]
