"""What model files say of themselves: parameters, architecture, library, task, tags."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from localhub.storage.content import Blob, Content

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_model.safetensors"
MAX_HEADER = 100_000_000
"""Bytes a safetensors header may have."""

TASKS = {
    "ForCausalLM": "text-generation",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "ForConditionalGeneration": "text2text-generation",
    "ForImageClassification": "image-classification",
    "ForObjectDetection": "object-detection",
}
LIBRARIES = {
    "adapter_config.json": "peft",
    "modules.json": "sentence-transformers",
    "model_index.json": "diffusers",
    "config.json": "transformers",
}


def parameters(content: Content, files: dict[str, Blob]) -> dict[str, Any] | None:
    """Return parameter counts by dtype and their sum, None without (valid) safetensors."""
    weights = weight_files(content, files)
    if not weights:
        return None
    counts: Counter[str] = Counter()
    for name in weights:
        if name not in files:
            return None
        header = counted(content.path_of(files[name]))
        if header is None:
            return None
        counts.update(header)
    return {"parameters": dict(counts), "total": sum(counts.values())}


def weight_files(content: Content, files: dict[str, Blob]) -> list[str]:
    """Return the names of the files that hold the weights."""
    if INDEX in files:
        try:
            index = json.loads(content.path_of(files[INDEX]).read_bytes())
            return sorted(set(index["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError):
            return []
    return [name for name in (SINGLE, ADAPTER) if name in files][:1]


@lru_cache(maxsize=1024)
def counted(path: Path) -> Counter[str] | None:
    """Return the parameters by dtype of one file, None if it is not safetensors."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > min(MAX_HEADER, path.stat().st_size):
            return None
        try:
            header = json.loads(file.read(size))
            tensors = [one for name, one in header.items() if name != "__metadata__"]
            counts: Counter[str] = Counter()
            for tensor in tensors:
                counts[tensor["dtype"]] += math.prod(tensor["shape"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
    return counts


def config_of(config: dict[str, Any], tokenizer: dict[str, Any]) -> dict[str, Any]:
    """Return what the API tells of a model's configuration."""
    kept = {
        key: config[key]
        for key in ("architectures", "model_type", "quantization_config", "auto_map")
        if key in config
    }
    known = (
        *("bos_token", "eos_token", "pad_token", "unk_token", "mask_token", "chat_template"),
        *("use_default_system_prompt",),
    )
    tokens = {key: token_text(tokenizer[key]) for key in known if key in tokenizer}
    return kept | ({"tokenizer_config": tokens} if tokens else {})


def token_text(token: Any) -> Any:
    """Return a special token as text; tokenizers save some as objects."""
    return token.get("content") if isinstance(token, dict) else token


def library(names: set[str]) -> str | None:
    """Return the library whose files these look like."""
    return next((word for name, word in LIBRARIES.items() if name in names), None)


def pipeline(config: dict[str, Any]) -> str | None:
    """Return the task an architecture is for."""
    for architecture in config.get("architectures") or []:
        for ending, task in TASKS.items():
            if str(architecture).endswith(ending):
                return task
    return None


def transformers_info(config: dict[str, Any], task: str | None) -> dict[str, Any] | None:
    """Return how transformers would load the model."""
    if not config.get("architectures"):
        return None
    return {"auto_model": "AutoModel", "pipeline_tag": task, "processor": "AutoTokenizer"}


def tags(
    card: dict[str, Any],
    names: Iterable[str],
    lib: str | None,
    task: str | None,
    config: dict[str, Any],
) -> list[str]:
    """Return a repo's tags: the card's own, and those its files and other fields stand for."""
    found = [lib, task]
    found += ["safetensors"] * any(name.endswith(".safetensors") for name in names)
    found += [config.get("model_type"), *listed(card, "tags")]
    prefixed = {"datasets": "dataset", "license": "license", "base_model": "base_model"}
    for key, prefix in prefixed.items():
        found += [f"{prefix}:{value}" for value in listed(card, key)]
    found += listed(card, "language") + listed(card, "task_categories")
    return list(dict.fromkeys(str(tag) for tag in [*found, "region:us"] if tag))


def listed(card: dict[str, Any], key: str) -> list[Any]:
    """Return a field that may hold one value or several as a list."""
    value = card.get(key)
    return [] if value is None else value if isinstance(value, list) else [value]
