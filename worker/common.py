"""Settings that several tasks share, in the groups users meet them in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import field_validator, model_validator

from worker import checks
from worker.facts import CheckContext
from worker.finding import Finding
from worker.nearest import nearest
from worker.params import Flag, Params, settings_of

MOST = 10**6
"""Largest value of a setting that counts something. More is a typing error, and some libraries
overflow with it."""


WANDB_MODE = "WANDB_MODE"
"""Variable that is sent to a job whose runs wandb keeps offline: then it asks nobody for a key."""


class Asking(Params):
    """Question (--inference)."""

    model: Annotated[str, Flag("-m")]
    """Trained model to ask: Hub id or folder."""


class Data(Params):
    """Data."""

    data_path: Annotated[str, Flag("--data", "--dataset", "-d")]
    """CSV, JSON, JSONL, Parquet or Excel file, a folder or zip of such, or a Hub dataset."""

    train_split: str = "train"
    """Split to train on."""

    valid_split: str | None = None
    """Split or file to evaluate on, or a share of the training rows to hold out, as in 0.05."""

    max_samples: Annotated[int, Ge(1)] | None = None
    """Use only so many training rows."""

    @field_validator("valid_split", mode="before")
    @classmethod
    def _name_or_share(cls, value: object) -> object:
        if isinstance(value, float | int) and not 0 < value < 1:
            raise ValueError("must be the name of a split, or a share between 0 and 1")
        return str(value) if isinstance(value, float) else value

    @property
    def valid_share(self) -> float | None:
        """Share of the training rows to hold out, where `valid_split` is one and not a name."""
        try:
            share = float(self.valid_split or "")
        except ValueError:
            return None
        return share if 0 < share < 1 else None

    def taken(self, total: int) -> int:
        """Return how many of `total` training rows are used."""
        return min(total, self.max_samples or total)


_LOW_RANK = "apollo_adamw galore_adamw galore_adamw_8bit"
LOW_RANK = frozenset(_LOW_RANK.split())
"""Optimizers whose state is kept of a few dimensions of each matrix: `worker.engine.low_rank`."""

EVERY_LINEAR, EVERY_MATRIX = checks.EVERY_LINEAR, "all"

_OPTIMIZERS = f"""
{_LOW_RANK}
adafactor adagrad adamw_8bit adamw_bnb_8bit adamw_torch adamw_torch_fused ademamix ademamix_8bit
lion_32bit lion_8bit paged_adamw_32bit paged_adamw_8bit paged_ademamix_32bit paged_ademamix_8bit
paged_lion_32bit paged_lion_8bit rmsprop rmsprop_bnb rmsprop_bnb_32bit rmsprop_bnb_8bit sgd
"""
_SCHEDULERS = """
linear cosine cosine_with_restarts polynomial constant constant_with_warmup inverse_sqrt
cosine_with_min_lr cosine_warmup_with_min_lr warmup_stable_decay
"""
OPTIMIZERS = frozenset(_OPTIMIZERS.split())
SCHEDULERS = frozenset(_SCHEDULERS.split())
"""Names transformers knows, and of optimizers those that need no package the worker's image lacks:
one that would fail on the rented machine is found before it is rented."""


class LowRank(Params):
    """Low-rank optimizers."""

    optim_rank: Annotated[int, Ge(1), Le(MOST), Flag("--galore-rank")] = 128
    """Dimensions of each matrix that the optimizer's state is kept of; apollo_adamw with 1 is
    APOLLO-Mini."""

    update_proj_gap: Annotated[int, Ge(1), Le(MOST)] = 200
    """Steps until these dimensions are chosen anew."""

    optim_scale: Annotated[float | None, Gt(0), Flag("--galore-scale")] = None
    """Size of a step in them; none takes 0.25 for galore and 1 for apollo, 128 for APOLLO-Mini."""

    optim_target_modules: str = EVERY_LINEAR
    """Layers that it is used for: parts of their names with commas between; all-linear, which is
    all but embeddings and the output; or all. What is no larger than the rank has a full state."""


class Optimisation(LowRank):
    """Optimisation."""

    epochs: Annotated[float, Gt(0), Le(MOST), Flag("--num-train-epochs", "--num-epochs")] = 1
    """Passes over the training split."""

    max_steps: Annotated[int, Ge(1)] | None = None
    """Stop after so many optimizer steps, whatever `epochs` says."""

    batch_size: Annotated[int, Ge(1), Le(MOST), Flag("--train-batch-size", "-b")] = 2
    """Rows per device and forward pass; a GPU with room takes several at once."""

    gradient_accumulation: Annotated[
        int, Ge(1), Le(MOST), Flag("--gradient-accumulation-steps", "--accumulate")
    ] = 4
    """Forward passes whose gradients are summed before the weights move."""

    lr: Annotated[float | None, Gt(0), Flag("--learning-rate")] = None
    """Peak learning rate; none takes 3e-5, or 2e-4 for an adapter."""

    optimizer: Annotated[str, Flag("--optim")] = "adamw_torch"
    """Optimizer, by its name in transformers. galore_adamw (GaLore, arXiv 2403.03507) and
    apollo_adamw (APOLLO, 2412.05270) train all weights with a fraction of the state; those with
    8bit keep it in bytes."""

    scheduler: Annotated[str, Flag("--lr-scheduler")] = "linear"
    """Shape of the learning rate after warmup, as transformers names it: linear, cosine. Those with
    min_lr fall to a tenth of the peak; warmup_stable_decay falls over the last fifth of the steps.
    """

    warmup_ratio: Annotated[float, Ge(0), Le(1)] = 0.1
    """Share of the steps in which the learning rate rises from 0; none where that is one step."""

    weight_decay: Annotated[float, Ge(0)] = 0.0
    """Weight decay."""

    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    """Gradients are scaled down to this norm."""

    neftune_noise_alpha: Annotated[float, Gt(0)] | None = None
    """Noise added to the embeddings while training, as in 5 (NEFTune, arXiv 2310.05914)."""

    seed: Annotated[int, Ge(0), Lt(2**32)] = 42
    """Seed of every random choice the worker makes."""

    @property
    def peak_lr(self) -> float:
        """The learning rate as it is used."""
        return self.lr or self.usual_lr

    @property
    def usual_lr(self) -> float:
        """The learning rate where none is given."""
        return 3e-5

    @property
    def bearable_lr(self) -> tuple[float, str]:
        """The largest plausible learning rate, and of what: ten times the usual maximum."""
        return (0.04, "GaLore") if "galore" in self.optimizer else (0.01, "training")

    @property
    def cosine_cycles(self) -> float:
        """How many waves of a cosine the learning rate goes through: half a one ends at 0."""
        return 0.5

    @property
    def in_order(self) -> bool:
        """Whether rows are taken as they come, and not shuffled."""
        return False

    @property
    def low_rank(self) -> bool:
        """Whether the optimizer keeps its state of a few dimensions of each matrix."""
        return self.optimizer in LOW_RANK

    @property
    def step_scale(self) -> float:
        """Size of a step of a low-rank optimizer, as it is used."""
        if "apollo" in self.optimizer:
            return self.optim_scale or (128.0 if self.optim_rank == 1 else 1.0)
        return self.optim_scale or 0.25

    @property
    def needs_cuda(self) -> tuple[str, str] | None:
        """What needs an NVIDIA GPU, and what to type where there is none; none if nothing does."""
        if self.optimizer == "galore_adamw_8bit":
            return f"--optimizer {self.optimizer}", "--optimizer galore_adamw"
        return None

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Say that a learning rate ruins the model, and what only other optimizers have."""
        if not self.low_rank:
            yield from checks.unused_rank(self, settings_of(LowRank))
        yield from checks.too_fast(self.lr, *self.bearable_lr, self.usual_lr, self.optimizer)
        yield from super().checks(about)

    def steps(self, rows: int) -> int:
        """Return the optimizer steps of a training on so many rows, as transformers counts them.

        On one device.
        """
        if self.max_steps:
            return self.max_steps
        batches = -(-rows // self.batch_size)
        per_epoch = max(1, -(-batches // self.gradient_accumulation))
        return max(1, -int(-self.epochs * per_epoch // 1))

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, value: str) -> str:
        return _known(value, OPTIMIZERS)

    @field_validator("scheduler")
    @classmethod
    def _known_scheduler(cls, value: str) -> str:
        return _known(value, SCHEDULERS)


def _known(value: str, names: frozenset[str]) -> str:
    if value in names:
        return value
    near = nearest(value, sorted(names))
    hint = f"; did you mean {near}?" if near else ""
    raise ValueError(f"must be one of {', '.join(sorted(names))}{hint}")


class Lora(Params):
    """LoRA adapter."""

    peft: Annotated[bool, Flag("--use-peft")] = False
    """Train a LoRA adapter instead of all the weights."""

    lora_r: Annotated[int, Ge(1), Le(MOST), Flag("--lora-rank")] = 16
    """Rank of the adapter."""

    lora_alpha: Annotated[int, Ge(1), Le(MOST)] = 32
    """Scale of the adapter, before it is divided by the rank."""

    lora_dropout: Annotated[float, Ge(0), Lt(1)] = 0.05
    """Dropout inside the adapter."""

    target_modules: str = EVERY_LINEAR
    """Layers that get an adapter: names with commas between, or all-linear."""

    use_dora: bool = False
    """Learn the length of each weight vector apart from its direction (DoRA, arXiv 2402.09353):
    closer to training all weights at small ranks, and slower."""

    use_rslora: bool = False
    """Divide the adapter's scale by the root of its rank instead of the rank (rsLoRA, arXiv
    2312.03732), so that large ranks are of use."""

    init_lora_weights: Literal["default", "pissa"] = "default"
    """Where an adapter begins: at nothing, or with the largest singular vectors of the weights
    (pissa, arXiv 2404.02948), which learns sooner. What is pushed fits the model as published."""

    loraplus_lr_ratio: Annotated[float, Ge(1)] | None = None
    """Learning rate of an adapter's second matrix, as a multiple of the first's, as in 16 (LoRA+,
    arXiv 2402.12354)."""

    merge_adapter: bool = False
    """Push the whole model with the adapter merged in, instead of the adapter alone."""

    @model_validator(mode="after")
    def _pissa_by_itself(self) -> Self:
        if self.init_lora_weights == "pissa" and self.use_dora:
            raise ValueError("init_lora_weights pissa and use_dora do not go together")
        if self.init_lora_weights == "pissa" and getattr(self, "quantization", None):
            raise ValueError(
                "init_lora_weights pissa takes the weights apart, which quantization has rounded:"
                " leave one of them out"
            )
        return self

    @property
    def adapter_alone(self) -> bool:
        """Whether what is pushed is an adapter, without the model it belongs to."""
        return self.peft and not self.merge_adapter

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Say what does nothing without an adapter, and what an adapter needs and is not there."""
        others = {"peft", "merge_adapter"}
        flags = {s.name: s.flags[0] for s in settings_of(Lora) if s.name not in others}
        yield from checks.unused_adapter(self, flags, about)
        yield from checks.lost_base(self, about)
        yield from checks.no_layers(self, about)
        yield from super().checks(about)


class MergedLora(Lora):
    """LoRA adapter of a model with a new head, which no base has: it is pushed merged in."""

    merge_adapter: bool = True
    """Push the whole model with the adapter merged in: alone its new head would fit no model."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.merge_adapter:
            raise ValueError(
                "this model gets a new head, so its adapter is always merged in (--merge-adapter): "
                "alone it would fit no model"
            )
        return self


class Training(Optimisation, Lora):
    """Training."""

    @property
    def usual_lr(self) -> float:
        """The learning rate where none is given. An adapter, begun at zero, needs more."""
        return 2e-4 if self.peft else super().usual_lr

    @property
    def bearable_lr(self) -> tuple[float, str]:
        """An adapter bears more, too: LoRA is given 5e-3 at most."""
        return (0.05, "an adapter") if self.peft else super().bearable_lr

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Say that an adapter needs no projection."""
        if self.peft and self.low_rank and self.optim_target_modules != EVERY_MATRIX:
            text = "an adapter is of low rank already: nothing of it is projected."
            yield Finding("warn", "settings", f"--optimizer {self.optimizer}: {text}")
        yield from super().checks(about)


class Memory(Params):
    """Precision and memory."""

    mixed_precision: Literal["fp16", "bf16"] | None = None
    """Precision of the forward pass; none keeps that of the checkpoint where it trains stably."""

    quantization: Annotated[Literal["int4", "int8"] | None, Flag("--quantize")] = None
    """Load the base model in fewer bits; needs --peft."""

    disable_gradient_checkpointing: Annotated[bool, Flag("--disable-gc")] = False
    """Keep all activations: faster, more memory."""

    auto_find_batch_size: bool = False
    """Make the batch size smaller, a tenth at a time, until it fits in memory."""

    @property
    def precision_flags(self) -> tuple[str, str]:
        """What to type without a GPU, and for one without bfloat16."""
        return "--mixed-precision none", "--mixed-precision fp16"


class Watching(Params):
    """Logging, evaluation, saving."""

    logging_steps: int = -1
    """Optimizer steps between reported losses; -1 chooses."""

    eval_strategy: Annotated[Literal["epoch", "steps", "no"], Flag("--evaluation-strategy")] = (
        "epoch"
    )
    """When the validation split is evaluated."""

    save_strategy: Literal["epoch", "steps", "best", "no"] = "epoch"
    """When a checkpoint is written; best: after each validation that was better than all before."""

    save_steps: Annotated[int, Ge(1)] = 500
    """Optimizer steps between checkpoints when save_strategy is steps."""

    save_total_limit: Annotated[int, Ge(1)] = 1
    """Checkpoints to keep."""

    log: Literal["none", "wandb", "tensorboard", "trackio"] = "none"
    """Experiment tracker to report to as well."""

    @property
    def extras(self) -> tuple[str, ...]:
        """Extras of the package that these settings need: a tracker has one of its name.

        tensorboard has none, because its writer comes with the trainer.
        """
        return () if self.log in {"none", "tensorboard"} else (self.log,)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Environment variables the machine that trains needs for these settings."""
        return ("WANDB_API_KEY",) if self.log == "wandb" else ()

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Say that a tracker's key is missing, or that nothing tells which model is the best."""
        yield from checks.never_best(self)
        if WANDB_MODE not in about.secrets:
            yield from checks.no_key(self.secrets, self.log, "https://wandb.ai/authorize", about)
        yield from super().checks(about)

    @field_validator("logging_steps")
    @classmethod
    def _chosen_or_positive(cls, value: int) -> int:
        if value == 0 or value < -1:
            raise ValueError("must be 1 or more, or -1 to choose")
        return value


class EarlyStopping(Params):
    """Early stopping."""

    early_stopping_patience: Annotated[int, Ge(1)] = 5
    """End training after so many validations that were no better. With a validation split, a
    checkpoint is written at each validation, and the best one becomes the model."""

    early_stopping_threshold: Annotated[float, Ge(0)] = 0.01
    """Least change that counts as better, of what the task names first: accuracy where classes are
    told, else the validation loss."""


class TransformersSettings(Optimisation, Memory, Watching):
    """What every training with transformers may be told."""
