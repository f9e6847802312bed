"""What a model that goes on with texts is asked, and how it chooses its words."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from worker.common.optimisation import MOST
from worker.params import Flag, Params


class Prompting(Params):
    """Question (--inference)."""

    prompt: str | None = None
    """What to answer, or - for standard input. Without it, and on a terminal, a chat begins."""

    prompts: Annotated[str | None, Flag("--input")] = None
    """File of prompts: a line each (.txt, or - for standard input), or rows (.jsonl, .csv,
    .parquet) with a column of prompts or `messages`."""

    prompt_text_column: Annotated[str, Flag("--prompt-column")] = "prompt"
    """Column of the prompt in a file of prompts."""

    output: str | None = None
    """File for the answers to a file of prompts, as JSON lines; what it has is not asked again."""

    batch_size: Annotated[int, Ge(1)] = 8
    """Prompts of a file that are answered together."""

    system: str | None = None
    """What the model is told before a conversation."""

    max_new_tokens: Annotated[int, Ge(1), Le(MOST)] | None = None
    """Longest answer, in tokens; by default as the model's maker says, else 512."""

    temperature: Annotated[float, Ge(0)] | None = None
    """How freely tokens are chosen, 0 for the likeliest always; by default as the model's maker
    says, as are top_p and top_k."""

    top_p: Annotated[float, Gt(0), Le(1)] | None = None
    """Choose among the likeliest tokens that together have this probability."""

    top_k: Annotated[int, Ge(1)] | None = None
    """Choose among so many of the likeliest tokens."""

    stop: str | None = None
    """Text before which an answer ends."""

    seed: int | None = None
    """Makes the same choices again; without it they differ."""

    endpoint: str | None = None
    """Ask a server instead of this machine: the address of one that speaks OpenAI's protocol (vLLM,
    TGI, llama.cpp, Ollama, an Inference Endpoint), or `hub` for Inference Providers."""
