"""The base class of all messages: immutable, and unknown fields are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value of the contract."""

    # Docstrings of fields are for readers of the source: to find them takes longer than all else.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def without(*names: str) -> Callable[[Any], Any]:
    """Return a validator that leaves out fields of earlier versions, which say nothing today.

    Their jobs and events, in records and in repos, stay readable.
    """

    def leave_out(values: Any) -> Any:
        if isinstance(values, dict) and not values.keys().isdisjoint(names):
            return {name: value for name, value in values.items() if name not in names}
        return values

    return leave_out
