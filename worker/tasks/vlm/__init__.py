"""Vision language models: what they say of images, or answer to questions about them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from worker.exchange import Answering
from worker.families.decoder import ADAPTER_BYTES
from worker.families.usual import shown, smaller_batches
from worker.imagefile import SUFFIXES
from worker.task import (
    DataReport,
    Field,
    Footprint,
    Measure,
    ModelFacts,
    Page,
    Run,
    Sample,
    Splits,
    Task,
    python,
)
from worker.tasks.vlm import cost, report
from worker.tasks.vlm.kinds import PREFIXED, check_model, is_prefixed
from worker.tasks.vlm.params import Question, VlmParams
from worker.tasks.vlm.samples import sample
from worker.tasks.vlm.speech import Wording


class VlmTask(Task[VlmParams]):
    """Training of vision language models."""

    name = "vlm"
    help = "Train a model to say what images show."
    params = VlmParams
    also_called: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "vlm-captioning": {"trainer": "captioning"},
        "vlm-vqa": {"trainer": "vqa"},
    }

    media = SUFFIXES
    model_reads = (
        *("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "chat_template.json"),
        *("processor_config.json", "preprocessor_config.json"),
    )
    question = Question
    fixed = ("max_new_tokens", "trust_remote_code")

    def sample(self, given: Mapping[str, Any]) -> Sample:
        """Return squares, and what colour each has."""
        return sample(given)

    def trains_together(self, params: VlmParams) -> bool:
        """Return that several processes can."""
        return True

    def method(self, params: VlmParams) -> str:
        """Return what is learned."""
        return params.trainer

    def unit(self, params: VlmParams) -> str:
        """Count tokens, those of images included."""
        return "tokens"

    def pipeline_tag(self, params: VlmParams) -> str:
        """Return what the model does."""
        return "image-text-to-text"

    def unused(self, params: VlmParams) -> Mapping[str, str]:
        """Return the settings of the other trainer."""
        if params.asks:
            said = "what is asked stands in the column of questions."
            return {"caption_prompt": said}
        said = "each image is asked the same (--caption-prompt)."
        return {
            "prompt_text_column": said,
            "eval_answers": "there is more than one right caption.",
        }

    def check_model(self, params: VlmParams, facts: ModelFacts) -> None:
        """Refuse what does not see images and say something."""
        check_model(facts)

    def inspect(
        self, params: VlmParams, splits: Splits, facts: ModelFacts, tokenizer: Any
    ) -> DataReport:
        """Count images and tokens, and find what is damaged."""
        return report.inspect(params, splits, facts, tokenizer)

    def footprint(
        self, params: VlmParams, facts: ModelFacts, data: DataReport, memory: float | None = None
    ) -> Footprint:
        """Return the memory by the shape of the model, with the longest example: see `cost`."""
        mean = data.units // max(1, data.rows)
        row = data.largest or round(1.5 * mean) or cost.USUAL_ROW
        return cost.footprint(params, facts, row, memory)

    def flops(self, params: VlmParams, facts: ModelFacts, data: DataReport) -> float:
        """Return the arithmetic of the whole training: see `cost`."""
        return cost.flops(params, facts, data)

    def pushed_bytes(self, params: VlmParams, stored: float) -> float:
        """Return the size of an adapter where only that is pushed."""
        return ADAPTER_BYTES if params.adapter_alone else stored

    def shown(self, params: VlmParams) -> Mapping[str, Any]:
        """Return the settings that decide most of what comes out."""
        way = {"trainer": params.trainer, "peft": params.peft, "quantization": params.quantization}
        lora = {"lora_r": params.lora_r, "lora_alpha": params.lora_alpha} if params.peft else {}
        return {**way, **shown(params, **lora)}

    def memory_advice(self, params: VlmParams) -> str:
        """Return what makes a training smaller, and changes what comes out the least."""
        smaller = smaller_batches(params)
        smaller += [] if params.peft else ["--peft"]
        smaller += [] if params.quantization == "int4" else ["--quantization int4"]
        return " or ".join([*smaller, "a smaller model"])

    def measures(self, params: VlmParams) -> tuple[Measure, ...]:
        """Return the loss, then how many answers are right where that is counted.

        Of few answers none may be right for long while a model gets better: the best one is told by
        its loss.
        """
        right = (Measure("valid_exact_match", "higher"),) if params.counts_answers else ()
        return (Measure("valid_loss"), *right, Measure("valid_perplexity"), Measure("loss"))

    def try_it(self, params: VlmParams, model: str) -> str:
        """Return a question to the model."""
        asked = ' --prompt "…"' if params.asks else ""
        return f"hubtrain vlm --inference --model {shlex.quote(model)} --image …{asked}"

    def loading(self, params: VlmParams, model: str, *, adapter: bool) -> str:
        """Return the Python that asks the model about an image, in the words it was trained with.

        Most models chat; PaliGemma continues a prefix behind the mark of the image.
        """
        return _asking(params, model, adapter=adapter, prefixed=is_prefixed(params.model))

    def loading_of(self, folder: Path, params: VlmParams, model: str, *, adapter: bool) -> str:
        """Return the same, as the trained model's files tell that it is asked."""
        prefixed = is_prefixed(params.model, folder)
        return _asking(params, model, adapter=adapter, prefixed=prefixed)

    def can_answer(self, facts: ModelFacts) -> None:
        """Refuse what does not see images and say something."""
        check_model(facts)

    def answering(self, model: str, question: Question, together: int) -> Answering:
        """Return the model; it answers with what it says of an image."""
        from worker.tasks.vlm.training.inference import answering

        return answering(model, question, together)

    def page(self, facts: ModelFacts) -> Page:
        """Return what is asked for: an image, and a question about it."""
        asked = Field("prompt", "Question", column="prompt_text_column")
        return Page("image-text-to-text", (Field("image", "Image", "image"), asked), "text")

    def training(self) -> Callable[[VlmParams, Run], object]:
        """Return what trains."""
        from worker.tasks.vlm.training.train import train

        return train


def _asking(params: VlmParams, model: str, *, adapter: bool, prefixed: bool) -> str:
    """Return the Python that asks a model about an image, behind a prefix or in a chat."""
    wording = Wording.of(params, PREFIXED if prefixed else "")
    asked = json.dumps(wording.question("What is this?" if params.asks else None))
    start = (
        f"# pip install transformers torch torchvision pillow{' peft' * adapter}",
        "from transformers import pipeline",
        "",
        f'model = pipeline("image-text-to-text", model={json.dumps(model)})',
    )
    if prefixed:
        call = f'model(images="image.jpg", text="<image>" + {asked}, return_full_text=False)'
        return python(*start, call)
    return python(
        *start,
        'image = {"type": "image", "url": "image.jpg"}',
        f'question = {{"type": "text", "text": {asked}}}',
        'chat = [{"role": "user", "content": [image, question]}]',
        "model(text=chat, return_full_text=False)",
    )


TASK = VlmTask()
