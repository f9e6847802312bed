"""Ways to train a language model. Each module here is one, and ends with `TRAINER = Yours()`.

Modules whose names begin with an underscore are not: what several trainers share goes there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from inspect import get_annotations
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from worker.errors import BadConfig

if TYPE_CHECKING:
    from worker.params import Params
    from worker.task import ModelFacts
    from worker.tasks.llm.heads import Head
    from worker.tasks.llm.params import LlmParams
    from worker.tasks.llm.trainer import Trainer

AUTOTRAIN = ("dpo", "grpo", "kto", "orpo", "ppo", "reward")
"""Trainers that users know from elsewhere: those that are not here yet are said to be so."""


def names() -> list[str]:
    """Return the trainers there are, importing none of them."""
    return sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_"))


def not_yet() -> list[str]:
    """Return the trainers that users know from elsewhere and that are not here."""
    return [name for name in AUTOTRAIN if name not in names()]


def load(name: str) -> Trainer[Any]:
    """Import one trainer. Raises `BadConfig` for one that only another version has."""
    try:
        module = import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if not str(error.name).startswith(f"{__name__}."):
            raise
        raise BadConfig(
            f"There is no trainer {name!r} here; there are {', '.join(names())}.",
            fix="A job of another version of hubtrain is read with that version.",
        ) from error
    trainer: Trainer[Any] = module.TRAINER
    return trainer


def called() -> dict[str, str]:
    """Return all names that files may give trainers, each with the trainer it means."""
    return {other: name for name in names() for other in (name, *load(name).also_called)}


def of(params: LlmParams) -> Trainer[Any]:
    """Return the trainer that is asked for."""
    return load(params.trainer)


def check_model(params: LlmParams, facts: ModelFacts) -> None:
    """Raise `BadConfig` for a model that the trainer cannot train, and name one that can."""
    trainer = of(params)
    try:
        trainer.check_model(params, facts)
    except BadConfig as error:
        able = [] if trainer.head.fits(facts.config) else with_head(facts.config)[:1]
        other = "".join(f"--trainer {name}, or " for name in able)
        raise BadConfig(error.message, fix=f"{other}{error.fix}") from error


def with_head(config: Mapping[str, Any]) -> list[str]:
    """Return the trainers that make models with the head that the model of a `config.json` has."""
    return [name for name in names() if load(name).head.is_on(config)]


def head_of(facts: ModelFacts) -> Head:
    """Return what a finished model puts out; an adapter may bring a head of its own.

    Raises `BadConfig` for what no trainer makes.
    """
    from worker.tasks.llm.heads.causal import CAUSAL

    heads = dict.fromkeys(load(name).head for name in names())
    brought = facts.adapter.get("task_type")
    own = (head for head in heads if brought and head.peft_type == brought)
    there = (head for head in heads if head.is_on(facts.config))
    found = next(own, None) or next(there, CAUSAL)
    found.check_model(facts)
    return found


def with_their_settings(base: type[LlmParams]) -> type[LlmParams]:
    """Return the settings of the task together with those of every trainer, and its choices.

    Raises `TypeError` where two declare the same setting: one of them would be lost in silence.
    """
    from pydantic import Field, create_model

    from worker.params import NotYet

    found = [load(name) for name in names()]
    groups = [trainer.settings for trainer in found]
    _check(base, groups)
    # One that another builds on comes with it; Params itself does too.
    bases = [base, *(g for g in groups if not any(g in o.__mro__[1:] for o in (base, *groups)))]
    missing = NotYet(*not_yet())
    choices: Any = Literal
    choices = Annotated[choices[tuple(names())], missing]
    default = Field(
        base.model_fields["trainer"].default,
        description="; ".join(f"{trainer.name} {trainer.help}" for trainer in found) + ".",
    )
    made: Any = create_model(
        base.__name__,
        __base__=tuple(dict.fromkeys(bases)),
        __doc__=base.__doc__,
        __module__=base.__module__,
        trainer=(choices, default),
    )
    return cast("type[LlmParams]", made)


def unused_beside(trainer: str) -> dict[str, str]:
    """Return the settings that other trainers have and this one has not, each with whose it is."""
    from worker.params import unused
    from worker.tasks.llm.params import LlmParams

    used = {*LlmParams.model_fields, *load(trainer).settings.model_fields}
    return unused("trainer", used, {name: load(name).settings for name in names()})


def without(ignored: type[Params], params: type[Params]) -> type[Params]:
    """Return settings that are read and not used, without those that a trainer now uses."""
    from pydantic import create_model

    from worker.params import Params as Base

    kept: Any = {
        name: (field.annotation, field)
        for name, field in ignored.model_fields.items()
        if name not in params.model_fields
    }
    return create_model(ignored.__name__, __base__=Base, __doc__=ignored.__doc__, **kept)


def _check(base: type[Params], groups: Iterable[type[Params]]) -> None:
    homes: dict[str, type] = dict.fromkeys(base.model_fields, base)
    for home in dict.fromkeys(c for group in groups for c in group.__mro__):
        for name in get_annotations(home).keys() & getattr(home, "model_fields", {}).keys():
            if homes.setdefault(name, home) is not home:
                raise TypeError(f"{name} of {home.__name__} is a setting of {homes[name].__name__}")
