"""What a verb is: a function from a typed request to a document, found by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import ValidationError

from backends.base import OnProgress, silent
from orchestrator.api.requests import Request
from orchestrator.document import Document
from orchestrator.jobs.client import Client
from worker.errors import BadConfig


@dataclass(frozen=True)
class Caller:
    """Whose jobs it is about, and how they are asked for."""

    client: Client
    needs_cap: bool = False
    """Whether what costs is only launched with a bound on its money or its time."""

    on_progress: OnProgress = silent


@dataclass(frozen=True)
class Verb:
    """One thing that may be asked for."""

    name: str
    help: str
    request: type[Request]
    answer: type[Document]
    do: Callable[[Caller, Any], Document]
    changes: bool
    """Whether anything is different afterwards."""

    removes: bool
    """Whether something is gone afterwards that cannot be brought back."""

    tool: bool
    """Whether assistants are offered it."""

    def read(self, given: Mapping[str, Any]) -> Request:
        """Return a request of plain values. Raises `BadConfig` that names all that is wrong."""
        try:
            return self.request.model_validate(dict(given))
        except ValidationError as error:
            wrong = [_complaint(one) for one in error.errors()]
            known = ", ".join(self.request.model_fields) or "nothing"
            raise BadConfig("\n".join(wrong), fix=f"{self.name} takes {known}.") from error


def _complaint(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a field of a request; `error` is one of pydantic's."""
    field = f"field '{'.'.join(map(str, error['loc']))}'"
    match error["type"]:
        case "extra_forbidden":
            return f"no {field}."
        case "missing":
            return f"{field} is needed."
        case _:
            return f"{field}: {error['msg']}."


VERBS: dict[str, Verb] = {}


def verb(
    *, changes: bool = False, removes: bool = False, tool: bool = True
) -> Callable[[Callable[[Caller, Any], Document]], Callable[[Caller, Any], Document]]:
    """Make a function a verb: its name, its docstring and its types are what callers see."""

    def known(do: Callable[[Caller, Any], Document]) -> Callable[[Caller, Any], Document]:
        types = get_type_hints(do)
        said = " ".join((do.__doc__ or "").split())
        name = do.__name__.rstrip("_")
        how = {"changes": changes, "removes": removes, "tool": tool}
        VERBS[name] = Verb(name, said, types["asked"], types["return"], do, **how)
        return do

    return known
