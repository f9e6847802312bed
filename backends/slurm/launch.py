"""The folder of a job as it is sent: one tar, so that it comes whole or not at all."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping

from backends.slurm.request import SCRIPT, WHOLE, SlurmRequest
from worker.batch import HANDED
from worker.environment import environment
from worker.hubclient import hub_variables


def payload(request: SlurmRequest, secrets: Mapping[str, str]) -> bytes:
    """Return the folder as a tar."""
    return tarred(files_of(request, secrets))


def files_of(request: SlurmRequest, secrets: Mapping[str, str]) -> dict[str, bytes]:
    """Return all files of a job, by path: its script and what only the worker may read, too."""
    handed = {"environment": _of_this_machine(request), "secrets": dict(secrets)}
    return {
        **request.files,
        SCRIPT: request.script.encode(),
        HANDED: json.dumps(handed).encode(),
    }


def tarred(files: Mapping[str, bytes]) -> bytes:
    """Return files as a tar whose last entry says that it came whole."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in {**files, WHOLE: b""}.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o600 if path.endswith(HANDED) else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _of_this_machine(request: SlurmRequest) -> dict[str, str]:
    """Return what training needs of this user's environment, if the nodes see its files."""
    if not request.options.slurm_host:
        return environment(os.environ, str(request.job.params.get("log") or "none"))
    return hub_variables()
