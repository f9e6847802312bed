"""How the weights move: steps, rates and optimizers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import field_validator

from worker.common.layers import EVERY_LINEAR, none_projected
from worker.facts import CheckContext
from worker.finding import Finding
from worker.nearest import nearest
from worker.params import Flag, GoesOn, Params, settings_of

MOST = 10**6
"""Largest value of a setting that counts something. More is a typing error, and some libraries
overflow with it."""

Epochs = Annotated[float, Gt(0), Le(MOST), GoesOn(), Flag("--num-train-epochs", "--num-epochs")]
BatchSize = Annotated[int, Ge(1), Le(MOST), GoesOn(), Flag("--train-batch-size", "-b")]
Accumulation = Annotated[
    int, Ge(1), Le(MOST), GoesOn(), Flag("--gradient-accumulation-steps", "--accumulate")
]
Rate = Annotated[float | None, Gt(0), GoesOn(), Flag("--learning-rate")]
"""Bounds and spellings of settings that tasks have defaults of their own for: `epochs: Epochs = 3`.
What is not written under one again is as `Optimisation` has it."""

_LOW_RANK = "apollo_adamw galore_adamw galore_adamw_8bit"
LOW_RANK = frozenset(_LOW_RANK.split())
"""Optimizers whose state is kept of a few dimensions of each matrix: `worker.engine.low_rank`."""

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

UNSCALED = frozenset({"sgd"})
"""Optimizers that do not scale their steps: with these a large rate may be right."""


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

    epochs: Epochs = 1
    """Passes over the training split."""

    max_steps: Annotated[int | None, Ge(1), GoesOn()] = None
    """Stop after so many optimizer steps, whatever `epochs` says."""

    batch_size: BatchSize = 2
    """Rows of a forward pass; a GPU with room takes several passes at once."""

    gradient_accumulation: Accumulation = 4
    """Forward passes whose gradients are summed before the weights move; several GPUs divide them.
    """

    lr: Rate = None
    """Peak learning rate; none takes 3e-5, or 2e-4 for an adapter."""

    optimizer: Annotated[str, Flag("--optim")] = "adamw_torch"
    """Optimizer, by its name in transformers. galore_adamw (GaLore, arXiv 2403.03507) and
    apollo_adamw (APOLLO, 2412.05270) train all weights with a fraction of the state; those with
    8bit keep it in bytes."""

    scheduler: Annotated[str, GoesOn(), Flag("--lr-scheduler")] = "linear"
    """Shape of the learning rate after warmup, as transformers names it: linear, cosine. Those with
    min_lr fall to a tenth of the peak; warmup_stable_decay falls over the last fifth of the steps.
    """

    warmup_ratio: Annotated[float, Ge(0), Le(1), GoesOn()] = 0.1
    """Share of the steps in which the learning rate rises from 0; none where that is one step."""

    weight_decay: Annotated[float, Ge(0)] = 0.0
    """Weight decay."""

    max_grad_norm: Annotated[float, Gt(0), GoesOn()] = 1.0
    """Gradients are scaled down to this norm."""

    neftune_noise_alpha: Annotated[float, Gt(0)] | None = None
    """Noise added to the embeddings while training, as in 5 (NEFTune, arXiv 2310.05914)."""

    seed: Annotated[int, Ge(0), Lt(2**32)] = 42
    """Seed of every random choice the worker makes."""

    def unlike(self, before: Self) -> Iterator[tuple[str, str]]:
        """Yield also that a step has other rows than before: the place in the data is in steps."""
        yield from super().unlike(before)
        rows, were = (p.batch_size * p.gradient_accumulation for p in (self, before))
        if rows != were:
            why = (
                f"a step had {were} rows and would have {rows}: the place in the data would be lost"
            )
            yield "batch_size", why

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
            yield from _unused_rank(self)
        elif not getattr(self, "peft", False):
            tensors, config = about.tensors, self.config_of(about)
            yield from none_projected(self.optim_rank, self.optim_target_modules, tensors, config)
        yield from _too_fast(self)
        yield from super().checks(about)

    def config_of(self, about: CheckContext) -> Mapping[str, Any]:
        """Return the `config.json` of the model that is trained, empty where it is not known."""
        return about.facts.config if about.facts else {}

    def steps(self, rows: int) -> int:
        """Return the optimizer steps of a training on so many rows, as transformers counts them.

        They are as many on several devices, which divide the rows of a step.
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


def _too_fast(params: Optimisation) -> Iterator[Finding]:
    """Yield a learning rate far above the largest plausible one."""
    most, what = params.bearable_lr
    if params.lr is not None and params.lr > most and params.optimizer not in UNSCALED:
        yield Finding(
            "warn",
            "settings",
            f"--lr {params.lr:g} is far above what {what} bears: the model will most likely be "
            "ruined.",
            f"--lr {params.usual_lr:g}",
        )


def _unused_rank(params: Optimisation) -> Iterator[Finding]:
    """Yield settings of a low-rank optimizer where it is another one."""
    given = [s.flags[0] for s in settings_of(LowRank) if s.name in params.model_fields_set]
    if given:
        text = f"{', '.join(given)}: only the optimizers galore_* and apollo_* have a rank."
        yield Finding("warn", "settings", text, "--optimizer galore_adamw")
