"""What users may set of pretraining: the flags of GaLore users' `train.py`, and the usual ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le
from pydantic import field_validator, model_validator

from worker.common import (
    EVERY_LINEAR,
    EVERY_MATRIX,
    MOST,
    Accumulation,
    BatchSize,
    Data,
    Epochs,
    Training,
    Watching,
)
from worker.facts import CheckContext
from worker.finding import Finding
from worker.params import Consent, Flag, Params
from worker.tasks.pretraining import models
from worker.tasks.pretraining.files import GALORE, LORA, Kind, settings_in

C4 = "allenai/c4"
"""What the GaLore paper trains on."""

TEST_TOKENS = 1000
"""Tokens of the data that --test takes."""

Yes = Literal["true", "false"]


class Program(Params):
    """Pretraining."""

    mode: Literal["pretraining", "finetuning"]
    """pretraining builds the model with random weights; finetuning starts from the published ones
    of gpt2 or roberta."""

    model: Annotated[
        Literal["llama_60m", "llama_1b", "llama_7b", "roberta", "gpt2"], Flag("--base-model", "-m")
    ]
    """Model to train. llama_* are those of the GaLore paper."""

    max_length: Annotated[int, Ge(8), Le(MOST), Flag("--block-size")] = 512
    """Longest sequence the model sees, in tokens."""

    num_training_tokens: Annotated[int, Ge(1)] = 10**9
    """Tokens to train on in pretraining, as in 1e9; so many epochs over the data may end it
    sooner."""

    shuffle: Yes = "true"
    """Whether rows are shuffled; in pretraining, which reads the data as a stream, among a thousand
    neighbours."""

    dtype: Literal["fp16", "bf16"] = "fp16"
    """Precision of the forward pass. Without a GPU fp16 means 32 bits, unless you ask for it: then
    it is refused."""

    tmax: Annotated[int, Ge(1), Le(MOST)] = 30
    """Epochs in which the learning rate falls to 0 along a cosine."""

    lora_config: Annotated[str, Consent()] = LORA.default
    """JSON file with r, lora_alpha, lora_dropout, target_modules, as peft names them."""

    galore_config: Annotated[str, Consent()] = GALORE.default
    """JSON file with rank, update_proj_gap, scale and target_modules of GaLore."""

    test: Yes = "false"
    """Try it: the first 1,000 tokens of the data only (pretraining), products in 32 bits."""

    text_column: str = "text"
    """Column of the text."""

    tokenizer: str | None = None
    """Tokenizer for pretraining: Hub id or folder; none trains one on the data."""


class PretrainingParams(Program, Data, Training, Watching):
    """Pretraining, with the settings all trainings have."""

    optimizer: Annotated[
        Literal["lora", "galore", "galore8bit", "lora+galore8bit", "baseline"], Flag("--optim")
    ]
    """lora trains adapters, galore all weights with AdamW of a few dimensions (arXiv 2403.03507),
    galore8bit the same in 8 bits, lora+galore8bit adapters, with galore8bit for what has none;
    baseline is AdamW."""

    data_path: Annotated[str, Flag("--data", "--dataset", "-d")] = C4
    """Texts: a CSV, JSONL or Parquet file, a folder of such, or a Hub dataset. Only pretraining
    has a default."""

    epochs: Epochs = 30
    batch_size: BatchSize = 16
    gradient_accumulation: Accumulation = 1
    lr: Annotated[float, Gt(0), Flag("--learning-rate")] = 4e-4
    """Peak learning rate."""

    weight_decay: Annotated[float, Ge(0)] = 0.01
    scheduler: Annotated[Literal["cosine"], Flag("--lr-scheduler")] = "cosine"
    """Shape of the learning rate: it falls along a cosine (`tmax`)."""

    warmup_ratio: Annotated[float, Ge(0), Le(1)] = 0.0
    save_strategy: Literal["epoch", "steps", "no"] = "steps"
    """When a checkpoint is written."""

    @field_validator("shuffle", "test", mode="before")
    @classmethod
    def _in_words(cls, value: object) -> object:
        return str(value).lower()

    @field_validator("num_training_tokens", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """Take 1e9 for what it is."""
        try:
            number = float(str(value))
        except ValueError:
            return value
        return int(number) if number.is_integer() else value

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, value: str) -> str:
        """Take the choices above, which are not transformers' names."""
        return value

    @model_validator(mode="before")
    @classmethod
    def _resolved(cls, given: Any) -> Any:
        """Put what the optimizer means, and what its files say, into the usual settings."""
        if not isinstance(given, Mapping):
            return given
        found, optimizer = dict(given), str(given.get("optimizer", ""))
        if "lora" in optimizer:
            found = _with_file(found, "lora_config", LORA)
        if "galore" in optimizer:
            target = EVERY_MATRIX if "lora" in optimizer else EVERY_LINEAR
            found = _with_file(found, "galore_config", GALORE, optim_target_modules=target)
        found["peft"] = "lora" in optimizer
        if found["peft"] and given.get("mode") == "pretraining":
            found["merge_adapter"] = True
        return found

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.mode == "finetuning" and self.model not in models.HUB:
            raise ValueError(
                f"{self.model} has no published weights to fine-tune: --mode pretraining; a model "
                "of your own is fine-tuned with hubtrain llm --train --model FOLDER"
            )
        if self.mode == "finetuning" and "data_path" not in self.model_fields_set:
            raise ValueError("finetuning needs data: --data-path with a file or a Hub dataset")
        sees = models.sees(self.model)
        if sees and self.max_length > sees:
            raise ValueError(f"{self.model} sees {sees:,} tokens at most: --max-length {sees}")
        return self

    @classmethod
    def brought(cls, given: Mapping[str, Any]) -> Mapping[str, str]:
        """Return what the files of the optimizer say, and what the optimizer itself means."""
        optimizer = str(given.get("optimizer", ""))
        found = {"peft": "optimizer"} if "lora" in optimizer else {}
        for word, setting, kind in _FILES:
            if word in optimizer:
                path = str(given.get(setting) or kind.default)
                with suppress(ValueError):  # which is told where the settings are validated
                    found |= dict.fromkeys(settings_in(kind, path), path)
        return found

    @property
    def fresh(self) -> bool:
        """Whether the model begins with random weights."""
        return self.mode == "pretraining"

    @property
    def fills_gaps(self) -> bool:
        """Whether the model learns hidden tokens, and not the next one."""
        return self.model == "roberta"

    @property
    def low_rank(self) -> bool:
        """Whether gradients are projected."""
        return "galore" in self.optimizer

    @property
    def needs_cuda(self) -> tuple[str, str] | None:
        """States in 8 bits are kept by NVIDIA GPUs alone."""
        if "8bit" not in self.optimizer:
            return None
        other = "lora" if "lora" in self.optimizer else "galore"
        return f"--optimizer {self.optimizer}", f"--optimizer {other}"

    @property
    def mixed_precision(self) -> str | None:
        """What is asked for; fp16 by default is no demand."""
        if self.test == "true" or (self.dtype == "fp16" and "dtype" not in self.model_fields_set):
            return None
        return self.dtype

    @property
    def precision_flags(self) -> tuple[str, str]:
        """What to type without a GPU, and for one without bfloat16."""
        return "--dtype bf16", "--dtype fp16"

    @property
    def tokens_a_step(self) -> int:
        """Tokens whose gradients are summed before the weights move."""
        return self.batch_size * self.gradient_accumulation * self.max_length

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Say that the learning rate rises again."""
        if self.tmax < self.epochs:
            text = f"--tmax {self.tmax}: in {self.epochs:g} epochs the learning rate rises again"
            yield Finding("warn", "settings", text, f"--tmax {self.epochs:.0f}")
        yield from super().checks(about)

    def config_of(self, about: CheckContext) -> Mapping[str, Any]:
        """Return the configuration of the model that is made, or that of the published one."""
        return models.config(self.model) if self.fresh else super().config_of(about)


_FILES = (("lora", "lora_config", LORA), ("galore", "galore_config", GALORE))
"""What of an optimizer's name means that a file is read, the setting that names it, its kind."""


def _with_file(given: dict[str, Any], setting: str, kind: Kind, **usual: Any) -> dict[str, Any]:
    """Return settings with what their file says of those that are not given, or else is `usual`.

    Once all of them are known, as on the machine that trains, no file is looked for.
    """
    path = str(given.get(setting) or kind.default)
    wanted = [name for name in kind.names.values() if name not in given]
    if not wanted:
        return given
    stated = settings_in(kind, path)
    known = {name: PretrainingParams.model_fields[name].default for name in kind.names.values()}
    return {**known, **usual, **stated, **given, setting: kind.default}
