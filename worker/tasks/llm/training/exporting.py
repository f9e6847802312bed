"""Writes a trained language model in the form that another program takes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.errors import BadConfig
from worker.tasks.llm.exporting import ExportRequest
from worker.tasks.llm.merging import MergeParams
from worker.tasks.llm.training import merging
from worker.tasks.llm.training.folders import fetched, made, named


def export(asked: ExportRequest) -> Mapping[str, Any]:
    """Export and return where the result is. Raises `HubtrainError`."""
    folder, name = fetched(asked.model), named(asked.model)
    adapter = (folder / "adapter_config.json").exists()
    if not adapter and not list(folder.glob("*.safetensors")):
        raise BadConfig(f"{asked.model} has no weights in safetensors, which alone are read.")
    if asked.merged and not adapter:
        raise BadConfig(
            f"{asked.model} is a whole model already: there is nothing to merge.", fix="--gguf"
        )
    base = merging.base_of(folder, asked.model) if adapter else None
    output = _output(asked, name)
    with made(output) as making:
        _check_room(making, folder if base is None else Path(base.name))
        done: dict[str, Any] = {"model": asked.model}
        whole = folder
        if base is not None:
            whole = making if asked.merged else making / "whole"
            done |= merging.merge(MergeParams(adapter_path=str(folder), output_folder=str(whole)))
            done["model"] = f"{asked.model} merged into {merging.words(base)}"
        if not asked.merged:
            done |= _written(asked, name, whole, making)
        if adapter and not asked.merged:
            shutil.rmtree(whole)
    done["folder"] = str(output)
    if file := done.get("file"):
        ollama = f"ollama create {name.lower()} -f {output / 'Modelfile'}"
        done["type next"] = ollama if asked.ollama else f"llama-cli -m {output / file}"
    return done


def _written(asked: ExportRequest, name: str, whole: Path, making: Path) -> dict[str, Any]:
    """Write the file, and Ollama's beside it; returns what to say of them."""
    from worker.tasks.llm.training.gguf import ollama
    from worker.tasks.llm.training.gguf.writing import stored_kind, write

    _check_room(making, whole)
    kind = stored_kind(whole) if asked.gguf == "auto" else asked.gguf or "q8_0"
    file = making / f"{name}-{kind}.gguf"
    otherwise = write(whole, file, kind, name)
    done = {"file": file.name, "size": f"{file.stat().st_size / 1e6:,.1f} MB"}
    if otherwise:
        done["note"] = otherwise
    if asked.ollama:
        done["template"] = ollama.write_modelfile(whole, making, file.name)
    return done


def _output(asked: ExportRequest, name: str) -> Path:
    kind = "" if asked.gguf == "auto" else f"-{asked.gguf}"
    form = "merged" if asked.merged else "ollama" if asked.ollama else f"gguf{kind}"
    return Path(asked.output_folder or f"{name}-{form}").expanduser()


def _check_room(place: Path, model: Path) -> None:
    """Raise `BadConfig` where a disk has no room for another copy of a model in a folder."""
    stored = sum(path.stat().st_size for path in model.glob("*.safetensors"))
    free = shutil.disk_usage(place).free
    if stored > free:
        raise BadConfig(
            f"{place.parent.resolve()} has {free / 1e9:.1f} GB free, and this takes up to "
            f"{stored / 1e9:.1f} GB.",
            fix="--output-folder on another disk",
        )
