"""Adapters: a few weights beside those of a model, trained instead of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from annotated_types import Ge, Le, Lt
from pydantic import model_validator

from worker.common.layers import EVERY_LINEAR, no_layers
from worker.common.optimisation import MOST
from worker.facts import CheckContext
from worker.finding import Finding
from worker.params import Flag, GoesOn, Params, settings_of


class Lora(Params):
    """LoRA adapter."""

    peft: Annotated[bool, Flag("--use-peft")] = False
    """Train a LoRA adapter instead of all the weights."""

    lora_r: Annotated[int, Ge(1), Le(MOST), Flag("--lora-rank")] = 16
    """Rank of the adapter."""

    lora_alpha: Annotated[int, Ge(1), Le(MOST)] = 32
    """Scale of the adapter, before it is divided by the rank."""

    lora_dropout: Annotated[float, Ge(0), Lt(1)] = 0.05
    """Dropout inside the adapter."""

    target_modules: str = EVERY_LINEAR
    """Layers that get an adapter: names with commas between, or all-linear."""

    use_dora: bool = False
    """Learn the length of each weight vector apart from its direction (DoRA, arXiv 2402.09353):
    closer to training all weights at small ranks, and slower."""

    use_rslora: bool = False
    """Divide the adapter's scale by the root of its rank instead of the rank (rsLoRA, arXiv
    2312.03732), so that large ranks are of use."""

    init_lora_weights: Literal["default", "pissa"] = "default"
    """Where an adapter begins: at nothing, or with the largest singular vectors of the weights
    (pissa, arXiv 2404.02948), which learns sooner. What is pushed fits the model as published."""

    loraplus_lr_ratio: Annotated[float, Ge(1)] | None = None
    """Learning rate of an adapter's second matrix, as a multiple of the first's, as in 16 (LoRA+,
    arXiv 2402.12354)."""

    merge_adapter: Annotated[bool, GoesOn()] = False
    """Push the whole model with the adapter merged in, instead of the adapter alone."""

    @model_validator(mode="after")
    def _pissa_by_itself(self) -> Self:
        if self.init_lora_weights == "pissa" and self.use_dora:
            raise ValueError("init_lora_weights pissa and use_dora do not go together")
        if self.init_lora_weights == "pissa" and getattr(self, "quantization", None):
            raise ValueError(
                "init_lora_weights pissa takes the weights apart, which quantization has rounded:"
                " leave one of them out"
            )
        return self

    @property
    def adapter_alone(self) -> bool:
        """Whether what is pushed is an adapter, without the model it belongs to."""
        return self.peft and not self.merge_adapter

    def checks(self, about: CheckContext) -> Iterator[Finding]:
        """Say what does nothing without an adapter, and what an adapter needs and is not there."""
        others = {"peft", "merge_adapter"}
        flags = {s.name: s.flags[0] for s in settings_of(Lora) if s.name not in others}
        yield from _unused_without(self, flags, about)
        yield from _lost_base(self, about)
        if self.peft:
            yield from no_layers(self.target_modules, about)
        yield from super().checks(about)


class MergedLora(Lora):
    """LoRA adapter of a model with a new head, which no base has: it is pushed merged in."""

    merge_adapter: bool = True
    """Push the whole model with the adapter merged in: alone its new head would fit no model."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.merge_adapter:
            raise ValueError(
                "this model gets a new head, so its adapter is always merged in (--merge-adapter): "
                "alone it would fit no model"
            )
        if getattr(self, "quantization", None):
            raise ValueError("quantization is for language models: it rounds the new head, too")
        return self


def _unused_without(lora: Lora, flags: dict[str, str], about: CheckContext) -> Iterator[Finding]:
    """Yield settings of an adapter where none is trained.

    AutoTrain ignored them without a word, and its files name all settings there are: in a file
    they are noted. On the command line nobody types them who wants all weights trained, which
    takes several times the memory and money: there they are refused.
    """
    given = [name for name in flags if name in lora.model_fields_set]
    typed = [name for name in given if name in about.typed]
    if lora.peft or not given:
        return
    text = (
        f"without --peft no adapter is trained, and {', '.join(flags[n] for n in typed or given)} "
        "would do nothing: all weights are trained."
    )
    if typed:
        yield Finding("error", "settings", text, f"--peft, or leave {flags[typed[0]]} out")
    else:
        yield Finding("warn", "settings", text, "--peft trains an adapter")


def _lost_base(lora: Lora, about: CheckContext) -> Iterator[Finding]:
    """Yield an adapter that would be pushed without the model it belongs to."""
    if lora.adapter_alone and about.model_is_here and about.pushed:
        yield Finding(
            "error",
            "settings",
            f"an adapter is loaded together with its base model, and {about.model} is only on this "
            "disk: nobody could use what is pushed.",
            "--merge-adapter, or --model with a model of the Hub",
        )
