"""Merges a LoRA adapter of a language model into its base, which keeps its own type of numbers."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from worker.contract import ModelRef
from worker.engine.adapter import merged_into
from worker.engine.saving import save_model
from worker.engine.source import Source
from worker.engine.speaking import save_tokenizer
from worker.errors import BadConfig
from worker.hubclient import endpoint, explained, hub
from worker.markdown import code
from worker.paths import base_of_adapter, is_path, named, ref_of
from worker.shorten import shortened
from worker.tasks.llm.heads.score import Score
from worker.tasks.llm.merging import MergeParams
from worker.tasks.llm.training.folders import fetched, made

CARD = """---
{matter}---
{adapter}, a LoRA adapter, merged into {base}.
"""


LONGEST = 300
"""Characters that are told of what peft says."""

_NO_ADAPTER = (KeyError, OSError, RuntimeError, SafetensorError, TypeError, ValueError)
"""What peft raises over layers of another shape or name, and over settings that are none."""


def merge(asked: MergeParams) -> Mapping[str, Any]:
    """Merge, write and push; returns where the model is. Raises `HubtrainError`."""
    push = _repo(asked) if asked.push_to_hub else None
    adapter = _folder(asked.adapter_path)
    given = asked.base_model_path
    base = ref_of(given) if given else base_of(adapter, asked.adapter_path)
    done: dict[str, Any] = {}
    with _place(asked.output_folder) as output:
        with made(output) as making:
            dtype = _merged(asked, base, adapter, making)
            if push:
                card = _card(base.name, asked.adapter_path)
                (making / "README.md").write_text(card, encoding="utf-8")
        done["model"] = f"{asked.adapter_path} merged into {words(base)}, in {dtype}"
        if asked.output_folder:
            done["folder"] = str(output)
        if push:
            done["repo"] = _pushed(output, push, private=asked.private)
    return done


def _card(base: str, adapter: str) -> str:
    """Return the card, which names no path of the user's disk."""
    matter = {"library_name": "transformers"} | ({} if _is_here(base) else {"base_model": base})
    base, adapter = (code(named(name) if _is_here(name) else name) for name in (base, adapter))
    front = yaml.safe_dump(matter, sort_keys=False)
    return CARD.format(matter=front, base=base, adapter=adapter)


def _is_here(model: str) -> bool:
    return is_path(model) or Path(model).exists()


def _merged(asked: MergeParams, base: ModelRef, adapter: Path, output: Path) -> str:
    """Write the merged model and its tokenizer; returns the type of its numbers."""
    _refuse_scores(adapter, asked.adapter_path)
    source = Source(base, AutoModelForCausalLM, asked.trust_remote_code)
    dtype = source.config().dtype or torch.float32
    beside = Source(ModelRef(name=str(adapter)), AutoModelForCausalLM)
    own = (adapter / "tokenizer_config.json").exists()
    tokenizer = (beside if own else source).processor(AutoTokenizer)
    model = source.load(dtype=dtype)
    try:
        rows = max(len(tokenizer), _rows(model, adapter))
        _make_room(model, rows, asked.pad_to_multiple_of)
        whole = merged_into(model, adapter)
    except _NO_ADAPTER as error:
        why = " ".join(str(error).split())
        raise BadConfig(
            f"{asked.adapter_path} is no adapter of {base.name}: {shortened(why, LONGEST)}"
        ) from error
    if (adapter / "generation_config.json").exists():  # where answers end
        whole.generation_config = GenerationConfig.from_pretrained(adapter)
    save_model(whole, output, dtype)
    save_tokenizer(tokenizer, None, output)
    return str(dtype).removeprefix("torch.")


def _refuse_scores(adapter: Path, name: str) -> None:
    """Raise `BadConfig` for the adapter of a reward model: what writes text has no such layer."""
    try:
        told = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # no adapter at all, of which peft says what is wrong
    if isinstance(told, dict) and told.get("task_type") == Score.peft_type:
        raise BadConfig(
            f"{name} is an adapter that scores texts, and what is merged here writes them: the "
            "layer that scores would be lost.",
            fix="train it with --merge-adapter",
        )


def _make_room(model: Any, tokens: int, multiple: int | None) -> None:
    """Grow the vocabulary to the tokenizer's and the adapter's, as it was in training.

    It never shrinks: many models have more rows than tokens.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if tokens > rows or (multiple and rows % multiple):
        model.resize_token_embeddings(max(tokens, rows), pad_to_multiple_of=multiple)


def _rows(model: Any, adapter: Path) -> int:
    """Return the rows of embeddings that an adapter brings along; 0 where it has none.

    They may be more than the tokens: many programs fill up to a multiple of 8 or 64.
    """
    file = adapter / "adapter_model.safetensors"
    if not file.exists():
        return 0
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    places = [f".{name}." for name, layer in model.named_modules() if layer in ends]
    with safe_open(file, framework="pt") as weights:
        names = [n for n in weights.keys() if n.endswith("weight") and any(p in n for p in places)]  # noqa: SIM118
        return max((int(weights.get_slice(name).get_shape()[0]) for name in names), default=0)


def _folder(name: str) -> Path:
    """Return the folder of an adapter, fetched where it is on the Hub."""
    folder = fetched(name)
    if not (folder / "adapter_config.json").exists():
        raise BadConfig(f"{name} is no adapter: it has no adapter_config.json.")
    return folder


def words(model: ModelRef) -> str:
    """Return what a model is called, and at which revision."""
    return f"{model.name} at {model.revision[:7]}" if model.revision else model.name


def base_of(adapter: Path, name: str) -> ModelRef:
    """Return the model that an adapter names as its base. Raises `BadConfig`."""
    try:
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadConfig(f"{name}: adapter_config.json is not JSON: {error}.") from error
    base = base_of_adapter(config) if isinstance(config, dict) else None
    if base is None:
        raise BadConfig(f"{name} does not name its base model.", fix="--base-model-path MODEL")
    return base


@contextmanager
def _place(folder: str | None) -> Iterator[Path]:
    """Yield where the model goes: a place that is gone afterwards where none is named."""
    if folder is not None:
        yield Path(folder).expanduser()
        return
    with tempfile.TemporaryDirectory(prefix="hubtrain-") as there:
        yield Path(there) / "model"


def _repo(asked: MergeParams) -> str:
    """Return the repo to push to; raises `BadConfig` if it is there, or cannot be told."""
    adapter = asked.adapter_path
    if asked.repo_id is None and Path(adapter).expanduser().is_dir():
        raise BadConfig("a folder has no name on the Hub.", fix="--repo-id OWNER/NAME")
    repo_id = asked.repo_id or f"{ModelRef.named(adapter).name}-merged"
    with explained(f"looking for {repo_id}"):
        there = hub(os.environ.get("HF_TOKEN")).repo_exists(repo_id)
    if there:
        raise BadConfig(f"{repo_id} is there already.", fix="--repo-id with another name")
    return repo_id


def _pushed(folder: Path, repo_id: str, *, private: bool) -> str:
    """Push a folder to a new repo; returns its address."""
    api = hub(os.environ.get("HF_TOKEN"))
    with explained(f"pushing {repo_id}"):
        api.create_repo(repo_id, private=private)
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Merged adapter")
    return f"{endpoint()}/{repo_id}"
