"""What is reported, evaluated and kept while training goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import field_validator

from worker.facts import CheckContext
from worker.finding import Finding
from worker.params import Flag, Own, Params

WANDB_MODE = "WANDB_MODE"
"""Variable that is sent to a job whose runs wandb keeps offline: then it asks nobody for a key."""


class Watching(Params):
    """Logging, evaluation, saving."""

    goes_on: ClassVar[bool] = True

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

    save_minutes: Annotated[float | None, Gt(0)] = 10.0
    """Longest time between checkpoints, whatever save_strategy says, unless that is no: what a
    machine that is lost may cost in work. None goes by save_strategy alone."""

    save_total_limit: Annotated[int, Ge(1)] = 1
    """Checkpoints to keep on the machine; of those on the Hub the last two are kept."""

    keep_checkpoints: bool = False
    """Leave the checkpoints on the Hub when the model is there."""

    log: Annotated[Literal["none", "wandb", "tensorboard", "trackio"], Own()] = "none"
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
        yield from _never_best(self)
        if WANDB_MODE not in about.secrets:
            yield from _no_key(self, "https://wandb.ai/authorize", about)
        yield from super().checks(about)

    @field_validator("logging_steps")
    @classmethod
    def _chosen_or_positive(cls, value: int) -> int:
        if value == 0 or value < -1:
            raise ValueError("must be 1 or more, or -1 to choose")
        return value


class EarlyStopping(Params):
    """Early stopping."""

    goes_on: ClassVar[bool] = True
    keeps_unasked: ClassVar[bool] = True
    """Whether the best model is kept even where nobody asks for that, or to end early."""

    early_stopping_patience: Annotated[int | None, Ge(1)] = 5
    """End training after so many validations that were no better; none trains to the end. With a
    validation split, a checkpoint is written at each validation, and the best one becomes the
    model."""

    early_stopping_threshold: Annotated[float, Ge(0)] = 0.01
    """Least change that counts as better, of what the task names first: accuracy where classes are
    told, else the validation loss."""


class EarlyStoppingIfAsked(EarlyStopping):
    """Early stopping."""

    keeps_unasked: ClassVar[bool] = False

    early_stopping_patience: Annotated[int | None, Ge(1)] = None
    """End training after so many validations that were no better. A checkpoint is then written at
    each validation, and the best one becomes the model. With none it is the last, unless
    save_strategy is best."""

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Say that nothing is validated by which a training could end early."""
        if self.early_stopping_patience and not _validates(self):
            text = "--early-stopping-patience counts validations, and nothing is validated."
            yield Finding("error", "settings", text, "--valid-split 0.05, or without it")
        yield from super().checks(about)


def keeps_the_best(params: Params) -> bool:
    """Whether a training leaves the best of its models, where anything is validated."""
    if getattr(params, "save_strategy", None) == "best":
        return True
    if not isinstance(params, EarlyStopping):
        return False
    return params.keeps_unasked or params.early_stopping_patience is not None


def _no_key(watching: Watching, page: str, about: CheckContext) -> Iterator[Finding]:
    """Yield each key that the machine will need and this one has not got to send."""
    for name in watching.secrets:
        if name not in about.secrets:
            yield Finding(
                "error",
                "settings",
                f"--log {watching.log} needs a key on the machine that trains, and {name} is not "
                f"set here; one is at {page}",
                f"export {name}=…, then the same command; or WANDB_MODE=offline; or no --log",
            )


def _never_best(watching: Watching) -> Iterator[Finding]:
    """Yield that checkpoints wait for a better validation where nothing is validated."""
    if watching.save_strategy == "best" and not _validates(watching):
        text = "--save-strategy best waits for a better validation, and nothing is validated."
        yield Finding("error", "settings", text, "--valid-split 0.05, or --save-strategy epoch")


def _validates(params: Params) -> bool:
    asked = getattr(params, "eval_strategy", "no") != "no"
    return asked and bool(getattr(params, "valid_split", None))
