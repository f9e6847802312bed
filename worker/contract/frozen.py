"""What all that is exchanged has in common: it never changes, and holds nothing unknown."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value of the contract."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True
    )


def without_attempt(values: Any) -> Any:
    """Leave out the number of the attempt, which in earlier versions was always 1.

    Their jobs and events, in records and in repos, stay readable.
    """
    if isinstance(values, dict) and "attempt" in values:
        return {name: value for name, value in values.items() if name != "attempt"}
    return values
