"""Writes a trained language model in the form that another program takes.

What is written grows in a folder beside the final one, which gets its name when all is there: what
dies on the way leaves nothing that looks finished.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worker.contract import ModelRef
from worker.errors import BadConfig
from worker.hubclient import explained, hub
from worker.tasks.llm.exporting import ExportRequest
from worker.tasks.llm.merging import MergeParams
from worker.tasks.llm.training import merging

PATTERNS = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model"]
"""What is fetched of a model: weights that are no program, and what belongs to them."""


def export(asked: ExportRequest) -> Mapping[str, Any]:
    """Export and return where the result is. Raises `HubtrainError`."""
    folder, name = _fetched(asked.model)
    adapter = (folder / "adapter_config.json").exists()
    if not adapter and not list(folder.glob("*.safetensors")):
        raise BadConfig(f"{asked.model} has no weights in safetensors, which alone are read.")
    if asked.merged and not adapter:
        raise BadConfig(
            f"{asked.model} is a whole model already: there is nothing to merge.", fix="--gguf"
        )
    base = merging.base_of(folder, asked.model) if adapter else None
    with _place(asked, name) as (making, output):
        _check_room(making, folder if base is None else Path(base))
        done: dict[str, Any] = {"model": asked.model}
        whole = folder
        if adapter:
            whole = making if asked.merged else making / "whole"
            done |= merging.merge(MergeParams(adapter_path=str(folder), output_folder=str(whole)))
            done["model"] = f"{asked.model} merged into {base}"
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


def _fetched(model: str) -> tuple[Path, str]:
    """Return the folder of a model, fetched where it is on the Hub, and what it is called."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder, folder.resolve().name
    with explained(f"fetching {model}"):
        api, ref = hub(os.environ.get("HF_TOKEN")), ModelRef.named(model)
        at = api.snapshot_download(ref.name, revision=ref.revision, allow_patterns=PATTERNS)
        return Path(at), ref.name.rpartition("/")[2]


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


@contextmanager
def _place(asked: ExportRequest, name: str) -> Iterator[tuple[Path, Path]]:
    """Yield a new folder that gets the name of the output, which is yielded too, when all is well.

    Raises `BadConfig` where something is there.
    """
    output = _output(asked, name)
    if output.exists():
        raise BadConfig(f"{output} is already there.", fix="another --output-folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        yield making, output
        making.chmod(0o755)
        making.rename(output)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
