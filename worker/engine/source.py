"""Where a model comes from, and what can be had of it: its config, tokenizer or processor, weights.

What transformers raises over a model is turned into the user's words here; what the Hub answers is
put into words in `worker.hubclient`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pickle import UnpicklingError
from typing import Any

from safetensors import SafetensorError
from transformers import AutoConfig

from worker import disk
from worker.contract import ModelRef
from worker.errors import BadConfig
from worker.hubclient import hub_error

_BROKEN = (
    *(OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError),
    SafetensorError,
)
"""What libraries raise over files of a model that are missing, cut short or made up."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model to start from, and how transformers is to load it.

    All its methods raise `HubtrainError` where what they return is not to be had.
    """

    ref: ModelRef
    auto_class: Any
    """Class that loads it: `AutoModelForCausalLM`, `AutoModelForImageClassification`, …"""

    trust_remote_code: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of its `from_pretrained`: `num_labels`, `ignore_mismatched_sizes`, …"""

    def config(self) -> Any:
        """Return what the model is like."""
        return self.processor(AutoConfig)

    def processor(self, auto_class: Any, **how: Any) -> Any:
        """Return its tokenizer or processor, by transformers' class for it: `AutoTokenizer`, …"""
        with loading(self.ref.name):
            return auto_class.from_pretrained(self.ref.name, **self._which, **how)

    def load(self, **how: Any) -> Any:
        """Return the model itself."""
        return self.load_and_tell(**how)[0]

    def load_and_tell(self, **how: Any) -> tuple[Any, tuple[str, ...]]:
        """Return the model, and the names of the weights that are not in its files: new ones."""
        with loading(self.ref.name):
            model, told = self.auto_class.from_pretrained(
                self.ref.name, **self._which, **self.more, **how, output_loading_info=True
            )
        return model, tuple(sorted(told["missing_keys"]))

    @property
    def _which(self) -> dict[str, Any]:
        return {"revision": self.ref.revision, "trust_remote_code": self.trust_remote_code}


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Turn what libraries raise over the files of a model into `BadConfig` or what the Hub said.

    Memory that runs out is no fault of theirs.
    """
    from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError

    try:
        yield
    except UnpicklingError as error:  # torch's own words advise to load them nevertheless
        raise BadConfig(
            f"{name} is not loaded: its weights, in torch's own format, are damaged or would run"
            " code. Only numbers are read from them.",
            fix="--model with one that has its weights in safetensors",
        ) from error
    except (*_BROKEN, HfHubHTTPError) as error:
        if isinstance(error, OSError) and disk.refused(error)[1]:
            raise  # the disk is full, or may not be written: that is no fault of the model
        for cause in _causes(error):
            # A repo without the file has no such model in it, which is no refusal of the Hub.
            if isinstance(cause, RemoteEntryNotFoundError):
                continue
            if told := hub_error(f"loading {name}", cause):
                raise told from error
        raise BadConfig(f"{name} cannot be loaded: {_words(error)}") from error


def _words(error: Exception) -> str:
    """Return the first line of what a library says; its kind too where that says little."""
    said = next(iter(str(error).splitlines()), "")
    return said if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {said}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
