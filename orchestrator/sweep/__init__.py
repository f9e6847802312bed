"""A sweep: one job with many settings, each a job of its own, and the best of their models.

Everything is a client over `orchestrator.flow`. What was asked for is kept in the user's folder
(`spec`), the trials are jobs on record that say which trial of which sweep they are, and what
Optuna knows is in its own storage. So nothing is lost with the process that runs it: the same sweep
again takes up what there is and goes on.
"""

from __future__ import annotations

from orchestrator.sweep.best import Placed, place
from orchestrator.sweep.run import Running
from orchestrator.sweep.spec import SweepSpec
from orchestrator.sweep.trial import Trial

__all__ = ["Placed", "Running", "SweepSpec", "Trial", "place"]
