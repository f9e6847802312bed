"""Whether a model is of a kind that a task can train, told by its `config.json` alone. Light."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from worker.errors import BadConfig
from worker.facts import ModelFacts


def class_of(facts: ModelFacts) -> str:
    """Return the class that a model names as its own: `BertForTokenClassification`; or nothing."""
    named = facts.config.get("architectures")
    return str(named[0]) if isinstance(named, list) and named else ""


def check_kind(
    facts: ModelFacts,
    kinds: Collection[str],
    loaded_by: str,
    why: str,
    fix: str,
    *,
    unsuited: Mapping[str, str] | None = None,
) -> None:
    """Do nothing for a model of one of `kinds`, or one whose own code has what it is `loaded_by`.

    That is a class of transformers: `AutoModelForSeq2SeqLM`. Raises `BadConfig` for others, which
    says `why` they do not do, or what is said of their kind in `unsuited`.
    """
    kind = str(facts.config.get("model_type") or "")
    code = facts.config.get("auto_map")
    if kind in kinds or (isinstance(code, dict) and loaded_by in code):
        return
    called = class_of(facts) or kind or "model of no known kind"
    raise BadConfig(f"{facts.name} is a {called}: {(unsuited or {}).get(kind, why)}.", fix=fix)
