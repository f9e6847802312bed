"""What a model says of images, in training and after it: the likeliest words, to their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from worker.tasks.vlm.training.batches import Collate


@dataclass(frozen=True, slots=True)
class Answers:
    """A model that is asked about images, several at a time."""

    collate: Collate

    @torch.no_grad()
    def of(
        self, model: Any, images: Sequence[Image.Image], questions: Sequence[str], longest: int
    ) -> list[str]:
        """Return what `model` says, in `longest` tokens at most."""
        given = self.collate.given(images, questions, side="left")
        tokenizer, width = self.collate.processor.tokenizer, given["input_ids"].shape[1]
        inputs = {
            name: values.to(model.device, model.dtype if values.is_floating_point() else None)
            for name, values in given.items()
        }
        out = model.generate(
            **inputs,
            max_new_tokens=longest,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            pad_token_id=tokenizer.pad_token_id or 0,
            **dict.fromkeys(("temperature", "top_p", "top_k")),
        )
        said = tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)
        return [text.strip() for text in said]


def same(answer: str, wanted: str) -> bool:
    """Whether two answers are the same, capitals and white space aside."""
    return answer.casefold().split() == wanted.casefold().split()
