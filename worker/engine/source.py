"""Where a model comes from, and what can be had of it: its config, tokenizer or processor, weights.

What transformers and the Hub raise over a model is turned into the user's words here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from transformers import AutoConfig

from worker.contract import ModelRef
from worker.errors import BadConfig, GatedModel, HubUnreachable, NotThere


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
        with self._explained():
            return auto_class.from_pretrained(self.ref.name, **self._which, **how)

    def load(self, **how: Any) -> Any:
        """Return the model itself."""
        with self._explained():
            return self.auto_class.from_pretrained(self.ref.name, **self._which, **self.more, **how)

    @property
    def _which(self) -> dict[str, Any]:
        return {"revision": self.ref.revision, "trust_remote_code": self.trust_remote_code}

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        name = self.ref.name
        try:
            yield
        except (OSError, ValueError, HfHubHTTPError) as error:
            causes = list(_causes(error))
            if any(isinstance(cause, GatedRepoError) for cause in causes):
                raise GatedModel(
                    f"{name} is gated and this account has not accepted its terms.",
                    fix=f"Accept them on its page: https://huggingface.co/{name}",
                ) from error
            if any(isinstance(c, RepositoryNotFoundError | RevisionNotFoundError) for c in causes):
                raise NotThere(
                    f"There is no model {name}, or this token may not see it."
                ) from error
            if any(isinstance(cause, ConnectionError | TimeoutError) for cause in causes):
                raise HubUnreachable(f"{name} could not be fetched: {error}") from error
            raise BadConfig(f"{name} cannot be loaded: {str(error).splitlines()[0]}") from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
