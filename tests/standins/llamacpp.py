"""Runs in the clean environment: lets llama.cpp answer from GGUF files, one line of JSON each."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any

import xllamacpp

WORDS = 512


def main() -> None:
    """Answer the questions of standard input."""
    servers: list[Any] = []
    for question in json.load(sys.stdin):
        print(json.dumps(answered(question, servers)), flush=True)
    os._exit(0)  # a server that is torn down may wait for its own loop for ever


def answered(question: dict[str, Any], servers: list[Any]) -> dict[str, Any]:
    """Return the tokens of texts, what prompts go on with, and how likely each token is next.

    What answered is kept in `servers`.
    """
    params = xllamacpp.CommonParams()
    params.model.path = question["file"]
    params.n_ctx = question.get("context", WORDS)
    params.n_parallel, params.warmup, params.fit_params = 1, False, False
    params.cpuparams.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    servers.append(server)
    said = [ask(server, prompt, question.get("words", 1)) for prompt in question["prompts"]]
    return {
        "tokens": [tokens(server, text) for text in question.get("texts", ())],
        "said": [choice["text"] for choice in said],
        "likely": [likely(choice) for choice in said],
    }


def ask(server: Any, prompt: Any, words: int) -> Any:
    """Return what the model goes on with; always the likeliest token."""
    how = {"prompt": prompt, "n_predict": words, "temperature": 0, "n_probs": WORDS}
    return server.handle_completions({**how, "cache_prompt": False})["choices"][0]


def likely(choice: Any) -> dict[int, float] | None:
    """Return the logarithm of each token's probability; none if the first is part of a letter."""
    told = (choice.get("logprobs") or {}).get("content")
    return {t["id"]: t["logprob"] for t in told[0]["top_logprobs"]} if told else None


def tokens(server: Any, text: str) -> Any:
    """Return the tokens of a text as a model gets it."""
    told = json.dumps({"content": text, "add_special": True, "parse_special": True}).encode()
    address = f"{server.listening_address}/tokenize"
    request = urllib.request.Request(address, told, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["tokens"]


if __name__ == "__main__":
    main()
