"""Settings of Jobs alone."""

from __future__ import annotations

from worker.params import Params


class JobsOptions(Params):
    """Hugging Face Jobs."""

    jobs_image: str | None = None
    """Image that the Job runs in, with Python 3.11 or newer: `hf.co/spaces/OWNER/NAME` is that of a
    Space. What it lacks is installed when the Job starts. None: a public one with Python and uv."""

    jobs_page: bool = False
    """Serve the job's page at an address of its own, for $0.01 an hour."""
