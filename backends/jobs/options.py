"""Settings of Jobs alone."""

from __future__ import annotations

from worker.params import Params


class JobsOptions(Params):
    """Hugging Face Jobs."""

    jobs_image: str | None = None
    """Image that the Job runs in, with Python 3.11 or newer. `own`: that of a private Space of
    yours, built once for all jobs of a kind and paused; `hf.co/spaces/OWNER/NAME`: that of any
    Space. What an image lacks is installed when the Job starts. None: a public one with uv."""

    jobs_page: bool = False
    """Serve the job's page at an address of its own, for $0.01 an hour."""
