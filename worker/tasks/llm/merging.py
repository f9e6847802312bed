"""What users may set of `hubtrain tools merge-llm-adapter`: adapter and base become one model."""

from __future__ import annotations

from typing import Annotated, Self

from annotated_types import Ge
from pydantic import model_validator

from worker.params import Params


class MergeParams(Params):
    """Merge an adapter."""

    adapter_path: str
    """Adapter: Hub id or folder."""

    base_model_path: str | None = None
    """Model it was trained beside: Hub id or folder; none is the one that the adapter names."""

    output_folder: str | None = None
    """Folder for the merged model; it must not hold anything."""

    push_to_hub: bool = False
    """Push the merged model to the Hub."""

    repo_id: str | None = None
    """Repo of the merged model; the adapter's name with -merged when not given."""

    private: bool = True
    """Keep that repo private."""

    pad_to_multiple_of: Annotated[int, Ge(1)] | None = None
    """Make the vocabulary's size a multiple of this."""

    trust_remote_code: bool = False
    """Run code that comes with the base model."""

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if not self.output_folder and not self.push_to_hub:
            raise ValueError("say where the merged model goes: --output-folder, or --push-to-hub")
        return self
