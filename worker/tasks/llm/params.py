"""What users may set of language model training. Declarations only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Le
from pydantic import field_validator

from worker.common import (
    MOST,
    Data,
    EarlyStoppingIfAsked,
    Prompting,
    Quantized,
    Training,
    TransformersSettings,
)
from worker.families.text.shape import positions
from worker.params import Consent, Flag, GoesOn, Params
from worker.tasks.llm.evaluation import LmEval

AUTO_BLOCK = 1024
"""Tokens of a packed row when nobody says."""


class LlmParams(LmEval, Data, Training, TransformersSettings, EarlyStoppingIfAsked, Quantized):
    """Language model.

    The settings that all trainers share; `trainers.with_their_settings` adds those of each.
    """

    model: Annotated[str, Flag("--base-model", "-m")]
    """Hub id or folder of the model to start from; an id may end with @ and a revision."""

    trainer: str = "default"
    """Way to train: one of those in `trainers/`, which fills in the choices."""

    text_column: str = "text"
    """Column of the text or of the messages; of pairs of answers the better one."""

    prompt_text_column: Annotated[str, Flag("--prompt-column")] = "prompt"
    """Column of the prompt, for rows of prompt and completion, or of pairs of answers."""

    completion_column: str = "completion"
    """Column of the completion, for rows of prompt and completion."""

    chat_template: Literal["tokenizer", "chatml", "zephyr"] | None = None
    """How messages become text; none is the tokenizer's own for messages, nothing for text. Where
    one is named, prompts and completions are written as turns with it, too."""

    block_size: int = -1
    """Tokens of a training row; -1 takes model_max_length."""

    model_max_length: Annotated[int, Ge(8), Le(MOST), Flag("--max-len", "--max-length")] = (
        AUTO_BLOCK
    )
    """Longest sequence the model sees, in tokens; the rest of an example is cut."""

    packing: bool = True
    """Fill each row with whole examples that cannot see one another."""

    add_eos_token: bool = True
    """End each text with the end-of-sequence token (default trainer, and plain text in sft)."""

    padding: Literal["left", "right"] | None = None
    """Side that is padded when rows are not packed."""

    use_flash_attention_2: Annotated[bool, GoesOn(), Flag("--use-fa2")] = False
    """Use flash attention 2 where the machine has it; one without a GPU is refused."""

    trust_remote_code: Annotated[bool, GoesOn(), Consent()] = False
    """Run code that comes with the model."""

    @field_validator("block_size")
    @classmethod
    def _chosen_or_usable(cls, value: int) -> int:
        if value != -1 and not 8 <= value <= MOST:  # noqa: PLR2004
            raise ValueError(f"must be 8 to {MOST:,}, or -1 to choose")
        return value

    def within(self, config: Mapping[str, Any]) -> Self:
        """Return these settings with rows no longer than a model of this `config.json` can see."""
        seen = positions(config)
        if self.row_tokens <= seen:
            return self
        return self.model_copy(update={"block_size": seen})

    @property
    def row_tokens(self) -> int:
        """Tokens of a training row."""
        return self.model_max_length if self.block_size == -1 else self.block_size

    @property
    def needs_cuda(self) -> tuple[str, str] | None:
        """Flash attention 2 runs on GPUs alone."""
        if self.use_flash_attention_2:
            return "--use-flash-attention-2", "leave it out: the model learns the same"
        return super().needs_cuda


class Question(Prompting):
    """Question (--inference)."""

    completion: str | None = None
    """Answer to the prompt, for a model that scores answers; without one it scores the prompt."""

    trust_remote_code: bool = False
    """Run code that comes with the model."""


class Ignored(Params):
    """Read and not used."""

    unsloth: bool = False
    """hubtrain trains with its own loop, and the result is the same."""

    liger_kernel: Annotated[bool, Flag("--use-liger-kernel")] = False
    """hubtrain's own loss saves the same memory."""
