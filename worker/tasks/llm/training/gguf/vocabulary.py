"""A tokenizer as llama.cpp knows it: its tokens, how text is cut, where it begins and ends.

llama.cpp has the ways of cutting text in its own code, by name, so a tokenizer whose way is not
among them cannot be written. Which it is, is read off what transformers cuts by, not off the
model's name: a tokenizer that was trained here is known like any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

from worker.errors import BadConfig
from worker.tasks.llm.training.gguf.architectures import CONVERTER

_LAST = 1e9
"""How far behind all others a piece is that has no order, as in SentencePiece's models."""

_SPACED = "llama.cpp begins what follows a special token with a space, transformers only a text"
_SPACE = "\u2581"
_CASES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r"[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LETTERS = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+%s|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*%s"
_SLASHES = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"

PATTERNS: Mapping[tuple[str, bool], str] = {
    (rf"{_CASES}|{_WORDS}|\p{{N}}{{1,3}}| ?{_REST}", True): "llama-bpe",
    (rf"{_CASES}|{_WORDS}|\p{{N}}{{1,3}}| ?{_REST}", False): "dbrx",
    (rf"{_CASES}|{_WORDS}|\p{{N}}| ?{_REST}", False): "qwen2",
    (rf"{_LETTERS % ('', '')}|\p{{N}}|{_SLASHES}", True): "tekken",
    (rf"{_LETTERS % (_CASES + '?', _CASES + '?')}|\p{{N}}{{1,3}}|{_SLASHES}", False): "gpt-4o",
}
"""llama.cpp's name by the pattern that cuts, and by whether a whole word that is a token is taken
without merging (`ignore_merges`)."""


_PHI3 = re.compile("phi-?3", re.IGNORECASE)
_KEEP = {"<unk>", "<s>", "<|endoftext|>"}
"""The special tokens of Phi-3 that leave the space behind them where it is."""


class Kind(IntEnum):
    """What a token is, by the numbers of GGUF."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    ADDED = 4
    UNUSED = 5
    BYTE = 6


def called(name: str, tokenizer: Any) -> str:
    """Return the name a file may have for its model.

    llama.cpp goes by it: special tokens take the spaces behind them where it holds "phi-3".
    """
    swallow = any(token.rstrip for token in tokenizer.added_tokens_decoder.values())
    has = _PHI3.search(name)
    if swallow and not has:
        return f"{name} (Phi-3)"
    return name if swallow else _PHI3.sub("phi", name)


def describe(writer: Any, tokenizer: Any, rows: int, ends: Sequence[int], model: str) -> str:
    """Write a tokenizer for a model with `rows` embeddings, whose answers end at tokens `ends`.

    Returns what llama.cpp does otherwise, empty for nothing. Raises `BadConfig` for one that it
    would not understand.
    """
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    if told["model"]["type"] != "BPE":
        raise _unknown(model, f"{told['model']['type']} tokens")
    _swallowing(told, model)
    if told["model"].get("byte_fallback"):
        _describe_pieces(writer, told, rows, model)
    else:
        _describe_bytes(writer, told, rows, model)
    _describe_specials(writer, tokenizer, ends)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)
    cut = _steps(told["pre_tokenizer"], "pretokenizers")
    return _SPACED if cut[0].get("prepend_scheme") == "first" else ""


def _swallowing(told: dict[str, Any], model: str) -> None:
    """Raise `BadConfig` if tokens take spaces around them, and not as those of Phi-3 do."""
    strips = {t["content"] for t in told["added_tokens"] if t["rstrip"]}
    phi3 = {t["content"] for t in told["added_tokens"] if t["special"]} - _KEEP | {"</s>"}
    if any(t["lstrip"] for t in told["added_tokens"]) or (strips and not strips == phi3):
        raise _unknown(model, "tokens that take the spaces around them")


def _unknown(model: str, what: str) -> BadConfig:
    return BadConfig(
        f"the tokenizer of {model} has {what}, which is not proven in GGUF here.", fix=CONVERTER
    )


def _describe_bytes(writer: Any, told: dict[str, Any], rows: int, model: str) -> None:
    """Write tokens of bytes, as GPT-2's, with the merges that make them."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_cut(told, model))
    tokens, kinds = _tokens(told, rows)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    merges = told["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])


def _cut(told: dict[str, Any], model: str) -> str:
    """Return llama.cpp's name of how text is cut before it becomes tokens."""
    normal = told["normalizer"]
    if normal is not None and normal["type"] != "NFC":  # which llama.cpp leaves out, for all
        raise _unknown(model, f"the normalizer {normal['type']}")
    *before, last = _steps(told["pre_tokenizer"], "pretokenizers")
    if last["type"] != "ByteLevel" or last["add_prefix_space"]:
        raise _unknown(model, "an unusual pre_tokenizer")
    ignores = bool(told["model"].get("ignore_merges"))
    if last.get("use_regex", True):
        known: dict[Any, str] = {(): "gpt-2", (("Digits", True),): "smollm"}
        steps = tuple((step["type"], step.get("individual_digits")) for step in before)
        name = None if ignores else known.get(steps)
    else:
        name = PATTERNS.get((_pattern(before), ignores))
    if name is None:
        raise _unknown(model, "a way of cutting text")
    return name


def _steps(told: Any, within: str) -> list[dict[str, Any]]:
    """Return the steps of a part of a tokenizer, which may be a sequence of them."""
    if told is None:
        return [{"type": "none"}]
    return list(told[within]) if told["type"] == "Sequence" else [told]


def _pattern(steps: Sequence[dict[str, Any]]) -> str:
    """Return the pattern of the one step that cuts; empty for anything else."""
    if len(steps) != 1 or steps[0]["type"] != "Split":
        return ""
    (step,) = steps
    usual = step["behavior"] == "Isolated" and not step["invert"]
    return str(step["pattern"].get("Regex", "")) if usual else ""


def _tokens(told: dict[str, Any], rows: int) -> tuple[list[str], list[int]]:
    """Return all tokens by number and what each is; numbers without a token are filled up."""
    tokens, kinds = [f"[PAD{i}]" for i in range(rows)], [int(Kind.UNUSED)] * rows
    for text, number in told["model"]["vocab"].items():
        tokens[number], kinds[number] = text, Kind.NORMAL
    for token in told["added_tokens"]:
        number = token["id"]
        tokens[number] = token["content"]
        kinds[number] = Kind.CONTROL if token["special"] else Kind.ADDED
    return tokens, kinds


def _describe_pieces(writer: Any, told: dict[str, Any], rows: int, model: str) -> None:
    """Write pieces of text with bytes for the rest, as SentencePiece's.

    llama.cpp merges the pair whose piece has the highest score, tokenizers by the order of merges:
    the same where the order is one of pieces, which is made sure.
    """
    tokens, kinds = _tokens(told, rows)
    order = _order(told, model)
    for number, text in enumerate(tokens):
        if kinds[number] == Kind.NORMAL and len(text) == len("<0x00>") and text[:3] == "<0x":
            kinds[number] = Kind.BYTE
        if kinds[number] == Kind.ADDED:
            tokens[number] = text.replace(_SPACE, " ")
    unknown = told["model"].get("unk_token")
    if unknown in told["model"]["vocab"]:
        kinds[told["model"]["vocab"][unknown]] = Kind.UNKNOWN
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token.encode() for token in tokens])
    writer.add_token_scores([-order.get(token, _LAST) for token in tokens])
    writer.add_token_types(kinds)
    writer.add_add_space_prefix(_begins_with_space(told, model))


def _order(told: dict[str, Any], model: str) -> dict[str, float]:
    """Return the pieces that merges make, by the order in which they are made.

    Runs of spaces come last and have no order among themselves: each grows from the left.
    """
    merges = [m.split(" ") if isinstance(m, str) else m for m in told["model"]["merges"]]
    made = ["".join(pair) for pair in merges]
    spaces = [piece for piece in made if not piece.strip(_SPACE)]
    rest = made[: len(made) - len(spaces)]
    changes = [piece for piece, before in zip(rest, ["", *rest], strict=False) if piece != before]
    lengths = {len(piece) for piece in spaces}
    if (
        made[len(rest) :] != spaces
        or len(set(changes)) < len(changes)
        or lengths != set(range(2, len(lengths) + 2))
    ):
        raise _unknown(model, "merges in another order than that of their pieces")
    vocabulary = set(told["model"]["vocab"]) - {token["content"] for token in told["added_tokens"]}
    pairs = {(left, right) for left, right in merges}
    for piece in vocabulary:
        for i in range(1, len(piece)):
            parts = piece[:i], piece[i:]
            if parts not in pairs and vocabulary.issuperset(parts) and piece[:3] != "<0x":
                raise _unknown(model, "pieces that no merge makes")
    return {piece: float(rank) for rank, piece in enumerate(changes)}


def _begins_with_space(told: dict[str, Any], model: str) -> bool:
    """Return whether a space is put before a text."""
    normal = [step["type"] for step in _steps(told["normalizer"], "normalizers")]
    cut = _steps(told["pre_tokenizer"], "pretokenizers")
    kinds = [step["type"] for step in cut]
    if kinds == ["Metaspace"] and normal == ["none"]:
        return bool(cut[0]["prepend_scheme"] != "never")
    if normal == ["Prepend", "Replace"] and kinds == ["none"]:
        return True
    if normal == ["Replace"] and kinds in (["none"], ["Split"]):
        return False
    raise _unknown(model, "an unusual normalizer")


def _describe_specials(writer: Any, tokenizer: Any, ends: Sequence[int]) -> None:
    """Write which tokens begin, end and fill up, and whether a text gets them by itself."""
    for name in ("bos", "eos", "unk", "pad"):
        number = getattr(tokenizer, f"{name}_token_id")
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    others = [number for number in ends if number != tokenizer.eos_token_id]
    if others:
        writer.add_eot_token_id(others[-1])
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    writer.add_add_bos_token(full[:1] == [tokenizer.bos_token_id] != bare[:1])
    writer.add_add_eos_token(full[-1:] == [tokenizer.eos_token_id] != bare[-1:])
