"""What a training changed, on questions the model has never seen: `score.py BASE ADAPTER FILE`.

Prints JSON for the base model and for the same model with the trained adapter: the loss over the
answers, and how many answers are right. An answer is right if greedy decoding would give it word
for word, which is the case exactly if every one of its tokens is the likeliest after those before
it. So each answer takes one forward pass, and nothing has to be generated.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

BATCH = 10


def main(base: str, adapter: str, file: Path) -> None:
    """Print the scores before and after."""
    warnings.simplefilter("ignore", FutureWarning)  # peft uses a name that transformers renames
    from worker.engine.lean import leave_out

    leave_out(["bitsandbytes"])  # peft would load it, which takes a while and is of no use here
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = [json.loads(line)["messages"] for line in file.read_text("utf-8").splitlines()]
    examples = [example(tokenizer, turns) for turns in rows]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter).eval()
    with torch.inference_mode():
        after = score(model, examples)
        with model.disable_adapter():
            before = score(model, examples)
    sys.stdout.write(json.dumps({"before": before, "after": after}) + "\n")


def example(tokenizer: Any, turns: list[dict[str, str]]) -> tuple[list[int], int]:
    """Return the tokens of a conversation, and where its answer begins.

    The answer ends with the token that ends a turn: a model has to stop as well.
    """
    question: str = tokenizer.apply_chat_template(
        turns[:1], tokenize=False, add_generation_prompt=True
    )
    whole = tokenizer.encode(question + turns[1]["content"])
    return [*whole, tokenizer.eos_token_id], len(tokenizer.encode(question))


def score(model: Any, examples: list[tuple[list[int], int]]) -> dict[str, float]:
    """Return the mean loss of an answer's tokens, and how many answers are right word for word."""
    import torch

    losses: list[torch.Tensor] = []
    right = 0
    for start in range(0, len(examples), BATCH):
        batch = examples[start : start + BATCH]
        width = max(len(tokens) for tokens, _ in batch)
        ids = torch.tensor([tokens + [0] * (width - len(tokens)) for tokens, _ in batch])
        logits = model(input_ids=ids).logits  # padding is on the right, where nobody looks back
        for row, (tokens, begin) in zip(logits, batch, strict=True):
            wanted = torch.tensor(tokens[begin:])
            said = row[begin - 1 : len(tokens) - 1]
            losses.append(torch.nn.functional.cross_entropy(said, wanted, reduction="none"))
            right += bool((said.argmax(-1) == wanted).all())
    return {"loss": float(torch.cat(losses).mean()), "right": right, "questions": len(examples)}


if __name__ == "__main__":
    os.environ |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
