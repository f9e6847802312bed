"""What becomes of the classes that a model knows already. Light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from worker.errors import BadConfig
from worker.facts import ModelFacts
from worker.families import balance
from worker.finding import Finding


def new_head(facts: ModelFacts, wanted: int) -> Iterable[Finding]:
    """Say that a model gets a head for so many classes, and whose place that takes."""
    if not facts.known:
        return
    known = labels_of(facts.config)
    if not known:
        text = f"{facts.name} gets a head for {balance.classes(wanted)}"
    elif len(known) != wanted:
        text = (
            f"a new head for {balance.classes(wanted)} takes the place of that of {facts.name} "
            f"for {len(known):,}"
        )
    else:
        text = f"the head of {facts.name} for {balance.classes(wanted)} is trained on"
    yield Finding("ok", "model", text)


def check_learned(facts: ModelFacts, *, number: bool, other: str) -> None:
    """Raise `BadConfig` for a finished classifier that tells classes where a `number` is asked for.

    And the other way round; `other` is the task that such models are of.
    """
    one = facts.config.get("problem_type") == "regression" or len(labels_of(facts.config)) == 1
    if one is not number:
        tells = "a number, and no class" if one else "classes, and no number"
        raise BadConfig(
            f"{facts.name} tells {tells}.", fix=f"hubtrain {other} --inference --model {facts.name}"
        )


def check_head(facts: ModelFacts, ending: str, does: str) -> None:
    """Raise `BadConfig` for a finished model whose class does not end so: `ForTokenClassification`.

    One that names no class may be any; `does` is what others do not.
    """
    classes = facts.config.get("architectures")
    named = [str(one) for one in classes] if isinstance(classes, list) else []
    if named and not any(one.endswith(ending) for one in named):
        raise BadConfig(f"{facts.name} is a {named[0]}, which does not {does}.")


def numbered(classes: Sequence[str]) -> dict[str, Any]:
    """Return classes as a model's configuration has them, in the order of their numbers."""
    named = dict(enumerate(classes))
    return {"id2label": named, "label2id": {name: number for number, name in named.items()}}


def labels_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the classes that a model knows by its `config.json`; none where it has no head."""
    classes = config.get("architectures")
    named = config.get("id2label")
    head = isinstance(classes, list) and any("Classification" in str(name) for name in classes)
    if not head:
        return ()
    if not isinstance(named, Mapping):  # which transformers leaves out for two of them
        return ("LABEL_0", "LABEL_1")
    return tuple(str(named[key]) for key in sorted(named, key=int))
