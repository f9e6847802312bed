"""What users may set of learning one text from another. Declarations only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from annotated_types import Ge, Le

from worker.common import MOST, BatchSize, Quantized, Training
from worker.facts import CheckContext
from worker.families.text.params import TextSettings
from worker.families.text.shape import ENDLESS
from worker.finding import Finding
from worker.params import Flag, Params
from worker.tasks.seq2seq.kinds import overflows_in_half


class Seq2SeqParams(TextSettings, Training, Quantized):
    """Sequence to sequence."""

    model: Annotated[str, Flag("--base-model", "-m")] = "google/flan-t5-base"
    """Hub id or folder of the model to start from; an id may end with @ and a revision."""

    text_column: str = "text"
    """Column of the texts that are read; also found when it is called dialogue, document and the
    like."""

    target_column: Annotated[str, Flag("--label-column")] = "target"
    """Column of the texts that are to be written; also found when it is called summary and the
    like."""

    max_target_length: Annotated[int, Ge(2), Le(MOST)] = 128
    """Tokens of a text that is to be written, special ones included; the rest is cut. Finished
    models write no more, either."""

    source_language: Annotated[str | None, Flag("--src-lang")] = None
    """Language of the texts that are read, as a model of many languages names it, such as en_XX."""

    target_language: Annotated[str | None, Flag("--tgt-lang")] = None
    """Language that is to be written, in such a name; none takes that of the texts."""

    rouge_rows: Annotated[int, Ge(0), Le(MOST)] = 500
    """Validation rows that are written out at each validation, for ROUGE; 0 measures the loss
    alone, which is faster."""

    batch_size: BatchSize = 2
    """Rows of a forward pass."""

    @property
    def of_targets(self) -> Self:
        """These settings as they are for what is written, instead of what is read."""
        return self.model_copy(update={"max_seq_length": self.max_target_length})

    def written(self, config: Mapping[str, Any]) -> int:
        """Return the tokens that a model with this `config.json` may write."""
        return min(self.max_target_length, _places(config, "decoder"))

    def seen(self, config: Mapping[str, Any]) -> int:
        """Return the tokens of a text that a model with this `config.json` is given."""
        return min(self.max_seq_length, _places(config, "encoder"))

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Say that T5 overflows in float16."""
        kind = str(about.facts.config.get("model_type")) if about.facts else ""
        if self.mixed_precision == "fp16" and overflows_in_half(kind):
            text = f"--mixed-precision fp16: {kind} overflows in it, and the loss is no number then"
            yield Finding("warn", "settings", text, "--mixed-precision bf16, or none")
        yield from super().checks(about)


def _places(config: Mapping[str, Any], part: str) -> int:
    """Return how many tokens an encoder or decoder tells apart; T5 and its kin know distances."""
    named = config.get(f"max_{part}_position_embeddings") or config.get("max_position_embeddings")
    return named if isinstance(named, int) and named > 0 else ENDLESS


class Question(Params):
    """Question (--inference)."""

    text: str
    """Text to answer."""

    max_new_tokens: Annotated[int | None, Ge(1), Le(MOST)] = None
    """Longest answer, in tokens; none takes what the model was trained for."""

    num_beams: Annotated[int | None, Ge(1), Le(100)] = None
    """Beginnings of an answer that are followed at once; none does as the model says."""

    trust_remote_code: bool = False
    """Run code that comes with the model."""
