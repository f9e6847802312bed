"""Which models see pictures and say something of them, told by `config.json` alone. Light."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from worker.errors import BadConfig
from worker.facts import ModelFacts
from worker.families.kinds import check_kind
from worker.jsonfile import object_in

_KINDS = """
aria aya_vision chameleon cohere_compass cosmos3_edge deepseek_ocr2 deepseek_vl deepseek_vl_hybrid
dots3_note emu3 ernie4_5_vl_moe exaone4_5 fast_vlm gemma3 gemma3n gemma4 glm46v glm4v glm4v_moe
glm5_next glm_ocr glmga got_ocr2 granite4_vision granite_docling hunyuan_vl hyperclovax_vision_v2
idefics2 idefics3 internvl janus lfm3_vl lighton_ocr llava llava_next llava_next_video
llava_onevision minicpmv4_6 minicpmv4_7 mistral3 mistral_large4 ovis2 paddleocr_vl paligemma
pp_chart2table qianfan_ocr qwen2_5_vl qwen2_vl qwen3_5 qwen3_5_moe qwen3_vl qwen3_vl_moe qwen4_exp
smolvlm video_llama_3 vipllava
"""
KINDS = frozenset(_KINDS.split())
"""Kinds that transformers (5.23) loads with `AutoModelForImageTextToText`, without those below."""


def _each(kinds: str, why: str) -> dict[str, str]:
    return dict.fromkeys(kinds.split(), why)


UNSUITED = {
    **_each(
        "cohere2_vision gemma4_unified inkling2 inkling_mm_model kimi_k25 lfm2_vl llama4 "
        "minicpm_ocr minimax_m3_vl molmo2 muse_glimmer muse_spark nemotron_h_omni perception_lm "
        "pp_formulanet step3p7 unlimited_ocr",
        "its processor needs the package torchvision, which the machine that trains has not got",
    ),
    **_each(
        "blip blip-2 florence2 instructblip pix2struct t5gemma2 udop vision-encoder-decoder",
        "it writes in a decoder that sees the image from beside, and not among its words",
    ),
    **_each(
        "fuyu git idefics kosmos-2 kosmos-2.5 mllama",
        "the image comes to it in a way of its own, beside the words",
    ),
    **_each("instructblipvideo video_llava", "it sees videos"),
    **_each(
        "cosmos3_omni mistral4 qwen2_5_omni_thinker qwen3_omni_moe_thinker",
        "transformers has no processor for it",
    ),
    "diffusion_gemma": "it does not write one word after the other",
    "evolla": "it reads proteins",
    "pi0": "it moves robots",
    "shieldgemma2": "it judges images by rules, and says nothing of them",
}
"""Kinds that transformers loads so too, and why they are not trained here."""

PREFIXED = "paligemma"
"""Kind that has no chat: its processor joins a prefix, which is seen as a whole, and a suffix."""


_FILES = {"config.json": "model_type", "processor_config.json": "processor_class"}
"""What tells the kind of a model by its files; an adapter has only the second."""


def is_prefixed(model: str, folder: Path | None = None) -> bool:
    """Whether a model has no chat but a prefix.

    By what its files say, in the `folder` that was trained, or in the one that `model` is; else by
    its name.
    """
    for place in (folder, Path(model)):
        if place and (kind := _kind_in(place)):
            return PREFIXED in kind.lower()
    return PREFIXED in model.lower()


def _kind_in(folder: Path) -> str:
    for file, name in _FILES.items():
        with suppress(BadConfig):
            if kind := object_in(folder / file, folder.name).get(name):
                return str(kind)
    return ""


def check_model(facts: ModelFacts) -> None:
    """Do nothing for a model that sees images and says something. Raises `BadConfig` for others."""
    check_kind(
        facts,
        KINDS,
        "AutoModelForImageTextToText",
        "it does not see images and say something of them",
        "--model with one that does, such as HuggingFaceTB/SmolVLM-256M-Instruct",
        unsuited=UNSUITED,
    )
