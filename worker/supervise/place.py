"""Where this worker runs, read off its environment once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.contract import JOB_FILE

_SOURCES = Path(__file__).parents[2]
"""Where `worker` is imported from: children are started with `-P`, which leaves out their folder,
so that no file in it can pass for a library."""

_NOT_FOR_THE_TRAINER = ("HUBTRAIN_PAGE_KEY", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET")


@dataclass(frozen=True, slots=True)
class Place:
    """The worker's surroundings. `environ` holds secrets; nothing prints it."""

    environ: Mapping[str, str]

    @property
    def job_file(self) -> Path:
        """The spec: `$HUBTRAIN_JOB_FILE`, or `job.json` here."""
        return Path(self.environ.get("HUBTRAIN_JOB_FILE") or JOB_FILE).absolute()

    @property
    def work(self) -> Path:
        """Folder for everything this worker writes: `$HUBTRAIN_WORK`, or `work` here."""
        return Path(self.environ.get("HUBTRAIN_WORK") or "work").absolute()

    @property
    def model(self) -> Path:
        """Folder the trainer leaves the model in."""
        return self.work / "model"

    @property
    def token(self) -> str | None:
        return self.environ.get("HF_TOKEN") or None

    @property
    def space_id(self) -> str | None:
        """The Space this runs on, `owner/name`; none elsewhere."""
        return self.environ.get("SPACE_ID") or None

    @property
    def accelerator(self) -> str | None:
        """The flavor this machine says it is; none where it says nothing or has no accelerator."""
        said = self.environ.get("ACCELERATOR", "none")
        return said if said != "none" else None

    @property
    def page_key(self) -> str | None:
        """What opens the page of a job that has no accounts to ask."""
        return self.environ.get("HUBTRAIN_PAGE_KEY") or None

    def for_trainer(self) -> dict[str, str]:
        """Return the trainer's environment: this one, less what only the page needs."""
        kept = {k: v for k, v in self.environ.items() if k not in _NOT_FOR_THE_TRAINER}
        path = dict.fromkeys([str(_SOURCES), *kept.get("PYTHONPATH", "").split(os.pathsep)])
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
