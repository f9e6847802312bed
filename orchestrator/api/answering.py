"""A call carried out, whoever carries it: its answer, or its failure, as JSON without secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator import crash
from orchestrator.api.errors import Failure, failure, told
from orchestrator.api.verb import Caller, Verb
from orchestrator.document import Document
from orchestrator.exits import FAILED
from orchestrator.visible import visible_json
from worker import disk
from worker.errors import HubtrainError
from worker.redact import Redactor


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a call."""

    document: Document
    """The verb's answer, or a `Failure`."""

    @property
    def failure(self) -> Failure | None:
        """What went wrong; none where nothing did."""
        return self.document if isinstance(self.document, Failure) else None

    @property
    def text(self) -> str:
        """The document as JSON that only shows, and shows no secret."""
        return Redactor(os.environ)(visible_json(self.document.model_dump_json(by_alias=True)))


def answered(verb: Verb, caller: Caller, given: Mapping[str, Any]) -> Answered:
    """Do what is asked for with plain values. Raises nothing: what goes wrong is the answer."""
    try:
        return Answered(verb.do(caller, verb.read(given)))
    except HubtrainError as error:
        return Answered(failure(error))
    except OSError as error:
        return Answered(told(*disk.refused(error), FAILED))
    except Exception as error:  # a mistake of ours is told, and written down for whoever mends it
        return Answered(told(*crash.told(error), FAILED))
