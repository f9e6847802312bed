"""A finished model, whole or an adapter: what its files say, and which revisions are to be loaded.

Light at import; `facts_of` imports transformers inside.
"""

from __future__ import annotations

import json
from typing import Any

from worker.contract import ModelRef
from worker.facts import ModelFacts
from worker.paths import base_of_adapter, ref_of


def revision_of(ref: ModelRef, facts: ModelFacts) -> dict[str, Any]:
    """Return the revision of a model as transformers' `from_pretrained` takes it.

    That of an adapter is not one of its base (transformers 5.23 would look for it there).
    """
    if not facts.adapter:
        return {"revision": ref.revision}
    base = base_of_adapter(facts.adapter)
    return {"revision": base and base.revision, "adapter_kwargs": {"revision": ref.revision}}


def facts_of(model: str) -> ModelFacts:
    """Return what the files of a model, or of an adapter and its base, say of it."""
    from transformers import PreTrainedConfig
    from transformers.utils import cached_file

    ref = ref_of(model)
    file = cached_file(
        ref.name,
        "adapter_config.json",
        revision=ref.revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    adapter: dict[str, Any] = {}
    if file:
        with open(file, encoding="utf-8") as stream:
            adapter = json.load(stream)
    whole = base_of_adapter(adapter) or ref
    config, _ = PreTrainedConfig.get_config_dict(whole.name, revision=whole.revision)
    return ModelFacts(model, 0, config=config, adapter=adapter)
