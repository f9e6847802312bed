"""A score of a text: what reward models put out, one number for how good an answer is."""

from __future__ import annotations

import json

from worker.task import Field, Page, python
from worker.tasks.llm.heads import Answer, Config, Head, classes
from worker.tasks.llm.heads.causal import CAUSAL
from worker.tasks.llm.heads.masked import MASKED
from worker.tasks.llm.params import Question

_CLASSIFIES = "ForSequenceClassification"

LABEL = "reward"
"""What the one class is called. Those that tell another number are classifiers of one class too."""


class Score(Head):
    """Scores a text: a classifier with one class."""

    called = "reward model"
    does = "score a text, nor can it be made to"
    such_as = "Qwen/Qwen3-0.6B"
    auto_class = "AutoModelForSequenceClassification"
    pipeline_tag = "text-classification"
    peft_type = "SEQ_CLS"

    def is_on(self, config: Config) -> bool:
        """Return whether a model scores texts: transformers takes two classes where none are."""
        names = config.get("id2label") or {}
        number = config.get("problem_type") == "regression" and LABEL not in names.values()
        return not number and _scores(config)

    def fits(self, config: Config) -> bool:
        """Return whether a model scores texts, or reads them, so that it can be made to."""
        return _scores(config) or CAUSAL.is_on(config) or MASKED.is_on(config)

    def loading(self, model: str, *, adapter: bool) -> str:
        """Return the Python that scores a text."""
        name = json.dumps(model)
        if not adapter:
            return python(
                "from transformers import pipeline",
                "",
                f'score = pipeline("text-classification", model={name})',
                'score("a text")',
            )
        return python(
            "from peft import AutoPeftModelForSequenceClassification",
            "from transformers import AutoTokenizer",
            "",
            f"model = AutoPeftModelForSequenceClassification.from_pretrained({name}, num_labels=1)",
            f"tokenizer = AutoTokenizer.from_pretrained({name})",
            "model.config.pad_token_id = tokenizer.pad_token_id",
            'score = model(**tokenizer("a text", return_tensors="pt")).logits',
        )

    def try_it(self, model: str) -> str:
        """Return the command that has an answer scored."""
        return f'{super().try_it(model)} --completion "…"'

    def page(self) -> Page:
        """Return what is asked for: a prompt, and the answer that is scored."""
        asked = (
            Field("prompt", "Prompt", column="prompt_text_column"),
            Field("completion", "Answer to score"),
        )
        return Page(self.pipeline_tag, asked, "number")

    def opened(self, model: str, question: Question) -> Answer:
        """Return what scores a prompt with its completion, or a text."""
        from worker.tasks.llm.training.scoring import scoring

        score = scoring(model, trust_remote_code=question.trust_remote_code)
        return lambda asked: score(str(asked.prompt), asked.completion)


def _scores(config: Config) -> bool:
    """Whether a model says one number of a text."""
    one = len(config.get("id2label") or (0, 1)) == 1
    return one and any(name.endswith(_CLASSIFIES) for name in classes(config))


SCORE = Score()
