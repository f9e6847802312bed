"""What is known of a job before it runs: of its base model, and of what surrounds its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What preflight knows of a model without loading it."""

    name: str
    parameters: int
    bytes_per_parameter: float = 2.0
    config: Mapping[str, Any] = field(default_factory=dict)
    """`config.json` of the model."""

    tokenizer_config: Mapping[str, Any] = field(default_factory=dict)
    chat_template: str | None = None
    processor: Mapping[str, Any] = field(default_factory=dict)
    """What the model's processor says of pictures, its parts and files as one: sizes, patches."""

    revision: str = ""
    """Its commit on the Hub; empty for a folder."""

    adapter: Mapping[str, Any] = field(default_factory=dict)
    """`adapter_config.json` of an adapter for the model; empty where there is none."""

    others: Mapping[str, ModelFacts] = field(default_factory=dict)
    """Other models that settings name, by the names they are asked for with."""

    @property
    def known(self) -> bool:
        """Whether the model was found; if not, a look at the data can only tell what is wrong."""
        return self.parameters > 0


NO_MODEL = ModelFacts("", 0)
"""For a task that starts from no model."""


def _nowhere(flag: str, name: str) -> ModelFacts:
    return ModelFacts(name, 0)


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a group of settings may ask when it looks at itself: see `Params.checks`."""

    typed: frozenset[str] = frozenset()
    """Settings given as flags, by name; the others come from a file or the environment."""

    pushed: bool = False
    """Whether the trained model goes to the Hub."""

    model: str = ""
    """The base model as it was asked for; empty where there is none."""

    model_is_here: bool = False
    """Whether the base model is a folder of this machine, which others cannot have."""

    secrets: frozenset[str] = frozenset()
    """Names of what is sent to the machine as a secret."""

    facts: ModelFacts | None = None
    """The base model; none where it was not found, and for a task that starts from none."""

    tensors: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Shapes of the model's tensors by their names, empty where only an index names them; none
    where no file tells."""

    other_model: Callable[[str, str], ModelFacts] = _nowhere
    """Returns what is known of another model than the base, by the flag that names it and its name.
    Raises `HubtrainError` where it is not there or the machine that trains cannot have it."""
