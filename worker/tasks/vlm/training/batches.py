"""Examples become batches: images through the model's processor, answers behind the questions.

The loss is taken of answers alone. What is given, image and question, is what the processor makes
of them when the model is asked; the answer's tokens follow, its end among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset

from worker.engine.loss import IGNORED
from worker.families.pictures.examples import Example
from worker.families.pictures.training.shrinking import Shrinking
from worker.families.pictures.training.store import Place, Store
from worker.tasks.vlm.examples import Said
from worker.tasks.vlm.speech import Speech


@dataclass(frozen=True, slots=True)
class Shown:
    """An example with its image opened."""

    image: Image.Image
    said: Said


class Gallery(Dataset[Shown]):
    """Examples, whose images are opened when they are asked for, no larger than they are seen."""

    def __init__(
        self, store: Store, examples: Sequence[Example[Place, Said]], shrinking: Shrinking
    ) -> None:
        self.store, self.examples, self.shrinking = store, examples, shrinking

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, i: int) -> Shown:
        example = self.examples[i]
        photo = self.store.photo(example.image, example.row)
        return Shown(photo.pixels(self.shrinking.of(photo.size)), example.label)


@dataclass(frozen=True, slots=True)
class Collate:
    """Makes batches of one model's inputs, by the names it has for them, with `labels`."""

    processor: Any
    speech: Speech
    longest: int
    """Tokens of an example at most: answers are cut there, but for their first token."""

    last_alone: bool = False
    """Whether the model can be asked for the logits of the last tokens alone."""

    def __call__(self, rows: Sequence[Shown]) -> dict[str, Any]:
        """Return a batch, padded on the right; all that is not of answers is `IGNORED`."""
        images = [row.image for row in rows]
        given = self.given(images, [row.said.question for row in rows], side="right")
        asked = given["attention_mask"].sum(1).tolist()
        answers = [
            self._answer(row.said, self.longest - length)
            for row, length in zip(rows, asked, strict=True)
        ]
        ends = [length + len(answer) for length, answer in zip(asked, answers, strict=True)]
        batch = {n: self._room(n, values, max(ends)) for n, values in given.items()}
        batch["labels"] = torch.full_like(batch["input_ids"], IGNORED)
        for i, (start, end, answer) in enumerate(zip(asked, ends, answers, strict=True)):
            batch["input_ids"][i, start:end] = torch.tensor(answer)
            batch["labels"][i, start:end] = torch.tensor(answer)
            batch["attention_mask"][i, start:end] = 1
            if self.speech.prefixed:  # what is given is seen as a whole, what follows word by word
                batch["token_type_ids"][i, start:end] = 1
        if self.last_alone:
            batch["logits_to_keep"] = max(ends) - min(asked) + 1
        return batch

    def given(
        self, images: Sequence[Image.Image], questions: Sequence[str], *, side: str
    ) -> dict[str, torch.Tensor]:
        """Return the inputs of images and questions, padded on a side."""
        prompts = [self.speech.prompt(question) for question in questions]
        begins = self.speech.tokens.get("bos_token")
        written = bool(begins) and prompts[0].startswith(str(begins))
        found: Mapping[str, torch.Tensor] = self.processor(
            images=[[image] for image in images],
            text=prompts,
            padding=True,
            padding_side=side,
            return_tensors="pt",
            add_special_tokens=not written,
        )
        return {name: values for name, values in found.items() if name != "labels"}

    def _answer(self, said: Said, room: int) -> list[int]:
        text = self.speech.answer(said.question, said.answer)
        ids = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return list(ids[: max(1, room)])

    def _room(self, name: str, values: torch.Tensor, width: int) -> torch.Tensor:
        """Return what has a value for each token with room for answers; all else as it is."""
        if name not in {"input_ids", "attention_mask"} and not name.endswith("token_type_ids"):
            return values
        pad = int(self.processor.tokenizer.pad_token_id or 0) if name == "input_ids" else 0
        more = max(0, width - values.shape[1])
        return torch.nn.functional.pad(values, (0, more), value=pad)[:, :width]
