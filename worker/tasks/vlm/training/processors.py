"""A model's processor, for images and words alone, and what goes out with a trained model.

transformers makes the part of a processor that takes videos with torchvision, which has to match
torch to the letter and is not there; who trains on images needs none of it. The processor's files
go out as they came, so that others have it whole.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES
from transformers.utils import cached_file

from worker.engine.source import Source
from worker.errors import BadConfig
from worker.families.templates import own_template
from worker.tasks.vlm.speech import IMAGE, Speech, special_of

FILES = (
    *("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"),
    *("chat_template.jinja", "chat_template.json"),
)
"""What a processor is read from, beside its tokenizer's own files."""


class _Still:
    """A processor whose parts for anything but images and words may be missing."""

    def check_argument_for_proper_class(self, name: str, part: Any) -> Any:
        """Accept a part that is not there."""
        return part if part is None else super().check_argument_for_proper_class(name, part)  # type: ignore[misc]


def processor_of(source: Source, model_type: str) -> Any:
    """Return the processor of images and words. Raises `BadConfig` for a model without one."""
    tokenizer = source.processor(AutoTokenizer)
    images = source.processor(AutoImageProcessor, backend="pil")
    kind = _class_of(source, model_type, tokenizer, images)
    if kind is None:  # its code comes with the model
        return source.processor(AutoProcessor)
    ref = source.ref
    said, _ = kind.get_processor_dict(ref.name, revision=ref.revision)
    there = {"image_processor": images, "tokenizer": tokenizer}
    parts = [there.get(name) for name in kind.get_attributes()]
    try:
        return type(kind.__name__, (_Still, kind), {}).from_args_and_dict(parts, said)  # type: ignore[attr-defined]
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise BadConfig(
            f"the processor of {ref.name} cannot be made: {error}", fix="another model"
        ) from error


def _class_of(source: Source, model_type: str, tokenizer: Any, images: Any) -> Any:
    """Return transformers' class of a processor: as its files name it, else by the model's type."""
    name, which = source.ref.name, {"revision": source.ref.revision}
    whole, _ = transformers.ProcessorMixin.get_processor_dict(name, **which)
    pictures, _ = images.get_image_processor_dict(name, **which)
    for said in (whole, pictures, tokenizer.init_kwargs):
        if (kind := getattr(transformers, str(said.get("processor_class")), None)) is not None:
            return kind
    return getattr(transformers, str(PROCESSOR_MAPPING_NAMES.get(model_type)), None)


def speech_of(model: str, kind: str, processor: Any) -> Speech:
    """Return how a kind of model is spoken with, through its processor."""
    tokenizer = processor.tokenizer
    templates = {"chat_template": getattr(processor, "chat_template", None)}
    tokens = {k: str(v) for k, v in tokenizer.special_tokens_map.items() if isinstance(v, str)}
    return Speech(
        model,
        kind,
        own_template(templates) or own_template({"chat_template": tokenizer.chat_template}),
        tokens,
        special_of(tokenizer.backend_tokenizer),
        str(getattr(processor, "image_token", None) or IMAGE),
    )


def said_by(processor: Any) -> dict[str, Any]:
    """Return what a processor says of images, as its files do."""
    counted = {"image_seq_len", "image_seq_length"}
    own = {name: value for name, value in vars(processor).items() if name in counted}
    return {**processor.image_processor.to_dict(), **own}


def save_processor(source: Source, processor: Any, folder: Path) -> None:
    """Write the tokenizer, and the other files as they came with the model."""
    processor.tokenizer.save_pretrained(folder)
    ref = source.ref
    for name in FILES:
        file = cached_file(
            ref.name,
            name,
            revision=ref.revision,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        if file:
            shutil.copyfile(file, folder / name)
