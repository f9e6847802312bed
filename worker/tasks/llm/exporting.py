"""`hubtrain export`: the forms in which other programs take a language model. Settings only."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import field_validator, model_validator

from worker.params import Alone, Params

_LLAMACPPS = re.compile(r"(q\d_k(_[a-z]+)?|i?q\d_[a-z]{1,3}|tq\d_0)", re.IGNORECASE)
"""Types of GGUF that only llama.cpp's own `llama-quantize` makes."""


class ExportParams(Params):
    """Export a model."""

    merged: bool = False
    """One model folder: an adapter merged into its base, in the base's own precision."""

    gguf: Annotated[
        Literal["auto", "f32", "bf16", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"] | None,
        Alone("auto"),
    ] = None
    """One file for llama.cpp, in numbers of this type; alone, or auto: as the model is stored."""

    ollama: bool = False
    """That file with a Modelfile for Ollama; in q8_0 unless --gguf names another type."""

    output_folder: str | None = None
    """Folder to make; the model's name with the form when not given. It must not be there."""

    @field_validator("gguf", mode="before")
    @classmethod
    def _made_here(cls, value: Any) -> Any:
        if _LLAMACPPS.fullmatch(str(value)):
            then = f"llama-quantize MODEL-bf16.gguf MODEL.gguf {str(value).upper()}"
            raise ValueError(f"is a type that llama.cpp makes: --gguf bf16, then {then}")
        return value

    @model_validator(mode="after")
    def _has_a_form(self) -> Self:
        if not (self.merged or self.gguf or self.ollama):
            raise ValueError("say in which form: --gguf, --merged, or --ollama")
        if self.merged and (self.gguf or self.ollama):
            raise ValueError("one form at a time: --merged, or --gguf and --ollama")
        return self


class ExportRequest(ExportParams):
    """A model, and the form to export it in."""

    model: str
    """Hub id or folder."""
