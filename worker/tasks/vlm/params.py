"""What users may set of models that see pictures and say something of them. Declarations only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from pydantic import model_validator

from worker.common import (
    MOST,
    BatchSize,
    Data,
    EarlyStopping,
    Quantized,
    Training,
    TransformersSettings,
)
from worker.params import Consent, Flag, GoesOn, Params

ASKS: Mapping[str, bool] = {"captioning": False, "vqa": True}
"""The ways to train, and whether each image comes with a question of its own."""

_YES = frozenset({"true", "1", "yes", "on", "t", "y"})


class VlmParams(Data, Training, TransformersSettings, EarlyStopping, Quantized):
    """Vision language model."""

    model: Annotated[str, Flag("--base-model", "-m")] = "google/paligemma-3b-pt-224"
    """Hub id or folder of the model to start from; an id may end with @ and a revision."""

    trainer: Literal["captioning", "vqa"] = "vqa"
    """What is learned: a text for each image (captioning), or answers to questions about them."""

    image_column: str = "image"
    """Column of the images: their bytes, or paths of files beside the table."""

    text_column: str = "text"
    """Column of what the model is to say: the caption, or the answer; also found where it is called
    answer, caption, label."""

    prompt_text_column: Annotated[str, Flag("--prompt-column")] = "prompt"
    """Column of the question (vqa); also found where it is called question."""

    caption_prompt: str | None = None
    """What each image is asked in captioning; none takes what PaliGemma was made with, `caption
    en`, and `Describe the image.` for others."""

    model_max_length: Annotated[int | None, Ge(8), Le(MOST), Flag("--max-length")] = None
    """Longest example in tokens, those of its image included: answers are cut there. None takes as
    much as the model sees."""

    train_vision: bool = False
    """Train also what sees: the vision tower, and what hands its features on; with --peft by
    adapters of their own."""

    eval_answers: Annotated[int, Ge(0), Le(MOST), GoesOn()] = 64
    """Validation rows that the model answers at each validation, so that right answers can be
    counted (vqa); 0 counts none."""

    trust_remote_code: Annotated[bool, Consent()] = False
    """Run code that comes with the model."""

    data_path: Annotated[str, Flag("--data", "--dataset", "-d")]
    """Folder of images with a list of them (metadata.jsonl), a table of images or of their paths
    (CSV, JSONL, Parquet), a zip, or a Hub dataset."""

    valid_split: str | None = "0.2"
    """Split to evaluate on, or a share of the rows to hold out, as in 0.05."""

    batch_size: BatchSize = 2
    """Rows of a forward pass."""

    quantization: Annotated[Literal["int4", "int8"] | None, Flag("--quantize")] = "int4"
    """Load the base model in fewer bits, beside an adapter (--peft); without one it stays as it is.
    """

    @model_validator(mode="before")
    @classmethod
    def _whole_without_an_adapter(cls, given: Any) -> Any:
        if isinstance(given, dict) and str(given.get("peft")).lower() not in _YES:
            return {"quantization": None, **given}
        return given

    @property
    def asks(self) -> bool:
        """Whether each image comes with a question of its own."""
        return ASKS[self.trainer]

    @property
    def counts_answers(self) -> bool:
        """Whether a validation counts how many answers are right."""
        return self.asks and self.eval_answers > 0


class Question(Params):
    """Question (--inference)."""

    image: str
    """Image file to ask about."""

    prompt: str | None = None
    """What to ask; without it the model says what it was trained to say of each image."""

    max_new_tokens: Annotated[int, Ge(1), Le(MOST)] = 128
    """Longest answer, in tokens."""

    trust_remote_code: bool = False
    """Run code that comes with the model."""
