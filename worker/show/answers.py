"""How a page asks for each kind of field, and shows each kind of answer (`worker.answers`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from PIL import Image, ImageOps

from worker.answers import Kind
from worker.exchange import Field

LONGEST_INPUT = 100_000
"""Letters that a visitor may send at once."""

LONGEST_SIDE = 1024
"""Points of a picture with boxes: gradio paints a picture as large for each of them."""

SHOWN = 10
"""Classes that are shown, the likeliest first."""

Asked = Mapping[str, Any]
"""What a visitor has given, by the fields' names."""


def input_of(field: Field) -> Any:
    """Return what a visitor gives a field with."""
    match field.kind:
        case "image":
            return _as_sent(
                gr.Image(type="filepath", sources=["upload", "clipboard"], label=field.label)
            )
        case "number":
            return gr.Number(label=field.label)
        case "row":
            return gr.Dataframe(
                value=[[""] * len(field.columns)],
                headers=list(field.columns),
                column_count=len(field.columns),
                type="array",
                label=field.label,
            )
        case "long text":
            return gr.Textbox(max_length=LONGEST_INPUT, lines=8, label=field.label)
        case _:
            return gr.Textbox(max_length=LONGEST_INPUT, label=field.label)


def _as_sent(picture: gr.Image) -> gr.Image:
    """Let a picture reach the model as it is: gradio would open it first, and fail in its words."""
    picture.preprocess = lambda sent: sent.path if sent else None
    return picture


def given(field: Field, value: Any) -> Any:
    """Return what a visitor gave as the question takes it; nothing where it is empty."""
    if field.kind == "number":
        return value
    if field.kind != "row":
        return value or None
    rows = [dict(zip(field.columns, row, strict=True)) for row in value]
    return json.dumps(rows) if any(any(row.values()) for row in rows) else None


def output_of(kind: Kind) -> Any:
    """Return what an answer of this kind is shown in."""
    match kind:
        case "labels" | "tags":
            return gr.Label(num_top_classes=SHOWN, label="Answer")
        case "entities":
            return gr.HighlightedText(show_legend=True, label="Answer")
        case "span":
            return gr.HighlightedText(label="Answer")
        case "boxes":
            return gr.AnnotatedImage(label="Answer")
        case "text" | "number" | "similarity":
            return gr.Textbox(lines=3 if kind == "text" else 1, label="Answer", buttons=["copy"])
        case _:
            return gr.Code(language="json", label="Answer")


def shown(kind: Kind, answer: Any, asked: Asked) -> Any:
    """Return an answer as `output_of` its kind takes it."""
    if show := _SHOWN.get(kind):
        return show(answer, asked)
    return json.dumps(answer, indent=2, ensure_ascii=False)


def _labels(answer: Any, _: Asked) -> dict[str, float]:
    return {str(one["label"]): float(one["score"]) for one in answer}


def _number(answer: Any, _: Asked) -> str:
    if isinstance(answer, Mapping):
        return "\n".join(f"{name}: {value}" for name, value in answer.items())
    return str(answer)


def _entities(answer: Any, asked: Asked) -> dict[str, Any]:
    """Mark what was found in the text that was asked about; of what overlaps, the first."""
    found: list[dict[str, Any]] = []
    for one in sorted(answer, key=lambda one: int(one["start"])):
        if not found or one["start"] >= found[-1]["end"]:
            found.append({"entity": str(one["entity_group"]), **_place(one)})
    return {"text": str(next(iter(asked.values()), "")), "entities": found}


def _place(one: Mapping[str, Any]) -> dict[str, int]:
    return {"start": int(one["start"]), "end": int(one["end"])}


def _boxes(answer: Any, asked: Asked) -> tuple[Any, list[Any]]:
    """Mark boxes on the picture as the model has seen it: turned as its EXIF says."""
    with Image.open(next(iter(asked.values()))) as file:
        picture = ImageOps.exif_transpose(file).convert("RGB")
    width = picture.width
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    scale = picture.width / width
    marked = []
    for one in answer:
        corners = (max(0, round(scale * one["box"][n])) for n in ("xmin", "ymin", "xmax", "ymax"))
        marked.append((tuple(corners), f"{one['label']} {one['score']:.0%}"))
    return picture, marked


def _span(answer: Any, asked: Asked) -> list[tuple[str, str | None]]:
    """Show an answer, and below it the text, where it is marked."""
    text, sure = str(next(iter(asked.values()), "")), f"{answer['score']:.0%}"
    if not answer["answer"]:
        return [("no answer", sure), (f"\n\n{text}", None)]
    start, end = int(answer["start"]), int(answer["end"])
    place = (text[start:end], sure)
    return [(answer["answer"], sure), (f"\n\n{text[:start]}", None), place, (text[end:], None)]


_SHOWN: Mapping[Kind, Callable[[Any, Asked], Any]] = {
    "labels": _labels,
    "tags": _labels,
    "number": _number,
    "similarity": _number,
    "entities": _entities,
    "boxes": _boxes,
    "text": lambda answer, _: str(answer),
    "span": _span,
}
