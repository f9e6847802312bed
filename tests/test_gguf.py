"""Exported models answer in llama.cpp what they answer in transformers, or are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
import tiny_llm
from standins import clean
from standins.laptop import Laptop
from standins.localhub import HubServer
from tiny_llm import TEMPLATE, chats, job, write_rows

from worker.errors import BadConfig
from worker.tasks.llm import TASK
from worker.tasks.llm.training.gguf import vocabulary

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(280)]

JUDGE = (Path(clean.__file__).parent / "llamacpp.py").read_text("utf-8")
TEXTS = (
    "the quick brown fox",
    "I'll  SAY 1234.5 'S häé \n\n\t x",
    "<|im_start|>user\nhello<|im_end|>\n",
    "  two   spaces, 中文 and 🦙!!\r\n  ",
    "HelloWorld don't we've 12345678 ÄÖ ß_x == /a/b/\n/",
)
ROTARY = {"rope_type": "default", "rope_theta": 500000.0}
LLAMA3 = ROTARY | {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = ROTARY | {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
LONG = {
    "rope_type": "longrope",
    "short_factor": [1.0 + i / 10 for i in range(8)],
    "long_factor": [2.0 + i for i in range(8)],
}
KINDS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {"rope_parameters": ROTARY}),
    "llama3": ("Llama", {"rope_parameters": LLAMA3, "tie_word_embeddings": True}),
    "linear": ("Llama", {"rope_parameters": {"rope_type": "linear", "factor": 2.0}}),
    "biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "mistral": ("Mistral", {"rope_parameters": ROTARY, "sliding_window": None}),
    "smollm3": ("SmolLM3", {"rope_parameters": ROTARY, "num_hidden_layers": 4}),
    "qwen2": ("Qwen2", {"rope_parameters": ROTARY, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {"rope_parameters": YARN, "head_dim": 32}),
    "gemma": ("Gemma", {}),
    "gemma2": ("Gemma2", {"sliding_window": 8, "query_pre_attn_scalar": 16}),
    "gemma3": ("Gemma3", {"sliding_window": 8, "query_pre_attn_scalar": 16}),
    "phi3": ("Phi3", {"rope_parameters": ROTARY, "partial_rotary_factor": 0.75}),
    "phi3-long": ("Phi3", {"rope_parameters": LONG, "original_max_position_embeddings": 16}),
    "gpt2": ("GPT2", {}),
}
"""Models of every architecture that is written, with the settings that differ between them."""

TYPES = {"f32": 2e-3, "bf16": 5e-2, "f16": 1e-2, "q8_0": 0.1, "q5_1": 0.6, "q4_0": 1.2}
"""How far the logarithm of a probability of a random model may be off; they span about 8."""

PROMPTS = [[(i * 7 + j * 13) % 290 + 5 for j in range(24)] for i in range(3)]


def made(kind: str) -> Any:
    """Return a model whose layers all matter to what it says."""
    import torch
    import transformers

    sizes = {"vocab_size": 304, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    ids = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
    family, more = deepcopy(KINDS[kind])  # transformers writes into it
    if family == "Gemma3":
        sizes["num_hidden_layers"] = 6
    how = {**sizes, **heads, **ids, "max_position_embeddings": 256, **more}
    if family == "GPT2":
        how = {
            "vocab_size": 304,
            "n_embd": 64,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 256,
            **ids,
        }
    text = "Text" if family == "Gemma3" else ""
    config = getattr(transformers, f"{family}{text}Config")(**how)
    torch.manual_seed(0)
    end = "LMHeadModel" if family == "GPT2" else "ForCausalLM"
    model = getattr(transformers, f"{family}{end}")(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(
                weights * 4 if weights.ndim > 1 else weights + torch.randn(len(weights)) / 5
            )
    return model


def likely(model: Any) -> list[Any]:
    """Return the logarithm of the probability of each token after each of `PROMPTS`."""
    import torch

    with torch.no_grad():
        said = model(torch.tensor(PROMPTS), use_cache=False).logits[:, -1].float().log_softmax(-1)
    found: list[Any] = said.tolist()
    return found


def judged(questions: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Return what llama.cpp makes of each question, as `llamacpp.py` has them."""
    lines = clean.said(JUDGE, questions, folder).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, list[Any]]]:
    """Return what llama.cpp and transformers answer, by kind of model or type of numbers."""

    from worker.tasks.llm.training.gguf.writing import write

    folder = tmp_path_factory.mktemp("gguf")
    questions, own = [], []
    for name in (*KINDS, *TYPES):
        model = made(name if name in KINDS else "qwen2")
        own.append(likely(model))
        model.save_pretrained(folder / name)
        tiny_llm.tokenizer().save_pretrained(folder / name)
        file = folder / f"{name}.gguf"
        write(folder / name, file, name if name in TYPES else "f32", "My phi-3 test")
        questions.append({"file": str(file), "prompts": PROMPTS})
    return dict(
        zip((*KINDS, *TYPES), zip(judged(questions, folder), own, strict=True), strict=True)
    )


@pytest.mark.parametrize("name", [*KINDS, *TYPES])
def test_llama_cpp_computes_what_transformers_does(name: str, answers: dict[str, Any]) -> None:
    there, own = answers[name]
    compared = 0
    for told, expected in zip(there["likely"], own, strict=True):
        for number, value in (told or {}).items():
            assert value == pytest.approx(expected[int(number)], abs=TYPES.get(name, 2e-3)), name
            compared += 1
    assert compared >= 300


def test_what_is_not_proven_is_refused(tmp_path: Path) -> None:
    import transformers

    from worker.tasks.llm.training.gguf.architectures import architecture_of

    refused = {
        "is a OPTForCausalLM; GGUF is proven here for ": transformers.OPTConfig(
            architectures=["OPTForCausalLM"]
        ),
        "the last 64 tokens only": transformers.MistralConfig(
            architectures=["MistralForCausalLM"], sliding_window=64
        ),
        "the activation relu": transformers.LlamaConfig(
            architectures=["LlamaForCausalLM"], hidden_act="relu"
        ),
        "positions of the type dynamic": transformers.LlamaConfig(
            architectures=["LlamaForCausalLM"],
            rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
        ),
        "no_rope_layers": transformers.SmolLM3Config(
            architectures=["SmolLM3ForCausalLM"], no_rope_layer_interval=3
        ),
        "an output layer beside its embeddings": transformers.GPT2Config(
            architectures=["GPT2LMHeadModel"], tie_word_embeddings=False
        ),
    }
    for said, config in refused.items():
        with pytest.raises(BadConfig) as caught:
            architecture_of(config, "ann/model")
        assert said in caught.value.message and "convert_hf_to_gguf.py" in caught.value.fix


def cuts() -> dict[str, Any]:
    """Return a tokenizer for each way of cutting that llama.cpp has and we write."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    byte = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    ways: dict[str, list[Any]] = {
        "gpt-2": [byte],
        "smollm": [pre_tokenizers.Digits(individual_digits=True), byte],
    }
    for (pattern, _), name in vocabulary.PATTERNS.items():
        ways[name] = [pre_tokenizers.Split(Regex(pattern), "isolated"), plain]
    found = {}
    for name, steps in ways.items():
        ignore = {n: ignores for (_, ignores), n in vocabulary.PATTERNS.items()}.get(name, False)
        raw = Tokenizer(models.BPE(ignore_merges=ignore))
        raw.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
        raw.decoder = decoders.ByteLevel()
        special = [tiny_llm.EOS, tiny_llm.IM_START, tiny_llm.IM_END]
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        learner = trainers.BpeTrainer(
            vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
        raw.train_from_iterator([*TEXTS * 3, Path(__file__).read_text("utf-8")], learner)
        found[name] = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token=tiny_llm.EOS)
    return found


def whole_merges(model: Mapping[str, Any]) -> list[list[str]]:
    """Return all pairs that make a piece, piece by piece, as SentencePiece's models have them."""
    learned = dict.fromkeys("".join(pair) for pair in model["merges"])
    order = sorted(learned, key=lambda piece: not piece.strip("▁"))
    cut = ([piece[:i], piece[i:]] for piece in order for i in range(1, len(piece)))
    return [pair for pair in cut if all(part in model["vocab"] for part in pair)]


def pieces(*, begins: bool) -> Any:
    """Return a tokenizer of pieces as Llama 2 (`begins`: with a space) and Gemma have them."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    raw = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    spaces = normalizers.Replace(" ", "▁")
    steps = [normalizers.Prepend("▁"), spaces]
    raw.normalizer = normalizers.Sequence(steps) if begins else spaces
    learner = trainers.BpeTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    words = [f"▁{word}" for text in TEXTS[:2] for word in text.split()]
    raw.train_from_iterator([*words * 3, "▁the▁quick", "say▁say"], learner)
    told = json.loads(raw.to_str())
    told["model"]["merges"] = whole_merges(told["model"])
    told["added_tokens"] = [t for t in told["added_tokens"] if not t["content"].startswith("<0x")]
    raw = Tokenizer.from_str(json.dumps(told))
    raw.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    raw.decoder = decoders.ByteFallback()
    raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, **names)


def test_llama_cpp_cuts_text_as_transformers_does(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    from worker.tasks.llm.training.gguf.writing import write

    ways = {**cuts(), "llama-2": pieces(begins=True), "gemma": pieces(begins=False)}
    questions = []
    for name, tokenizer in ways.items():
        sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
        heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
        LlamaForCausalLM(LlamaConfig(vocab_size=640, **sizes, **heads)).save_pretrained(
            tmp_path / name
        )
        tokenizer.save_pretrained(tmp_path / name)
        write(tmp_path / name, tmp_path / f"{name}.gguf", "f16", name)
        questions.append({"file": str(tmp_path / f"{name}.gguf"), "prompts": [], "texts": TEXTS})
    for (name, tokenizer), there in zip(ways.items(), judged(questions, tmp_path), strict=True):
        for text, found in zip(TEXTS, there["tokens"], strict=True):
            assert found == tokenizer(text)["input_ids"], (name, text)


def test_tokenizers_that_llama_cpp_would_not_understand_are_refused(tmp_path: Path) -> None:
    from tokenizers import AddedToken, pre_tokenizers

    odd = tiny_llm.tokenizer()
    odd.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    swallowing = tiny_llm.tokenizer()
    swallowing.add_special_tokens({"sep_token": AddedToken("<sep>", lstrip=True)})
    for tokenizer, said in (
        (odd, "a way of cutting text"),
        (swallowing, "tokens that take the spaces around them"),
        (tiny_bert.tokenizer(), "WordPiece tokens"),
    ):
        with pytest.raises(BadConfig, match=said):
            vocabulary.describe(_Nothing(), tokenizer, 700, [], "ann/model")


class _Nothing:
    """A writer that forgets."""

    def __getattr__(self, name: str) -> Any:
        return lambda *values: None


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an `adapter` that has learned to answer, and its `base`."""
    folder = tmp_path_factory.mktemp("export")
    base = tiny_llm.write_model(folder / "base", template=TEMPLATE)
    data = write_rows(folder / "train.jsonl", chats(8))
    how: dict[str, Any] = {
        "trainer": "sft",
        "peft": True,
        "lr": 0.02,
        "max_steps": 30,
        "lora_r": 32,
    }
    params, run, _ = job(base, data, folder, **how)
    TASK.train(params, run)
    run.output.rename(folder / "adapter")
    return folder


def test_an_exported_adapter_answers_the_same_prompt(
    shared_hub: HubServer, trained: Path, tmp_path: Path
) -> None:
    laptop = Laptop(tmp_path / "home", shared_hub)
    adapter = str(trained / "adapter")
    done = laptop.run("export", adapter, "--ollama", "--gguf", "f16", "--json")
    assert done.code == 0, done.err
    folder = tmp_path / "adapter-ollama"
    assert done.document["type next"] == "ollama create adapter -f adapter-ollama/Modelfile"
    assert sorted(path.name for path in folder.iterdir()) == ["Modelfile", "adapter-f16.gguf"]
    modelfile = (folder / "Modelfile").read_text("utf-8")
    assert modelfile.startswith('FROM ./adapter-f16.gguf\nTEMPLATE """')
    assert 'PARAMETER stop "<|im_end|>"' in modelfile
    prompt = "<|im_start|>user\nsay 3<|im_end|>\n<|im_start|>assistant\n"
    question = {"file": str(folder / "adapter-f16.gguf"), "prompts": [prompt], "words": 12}
    (there,) = judged([question], tmp_path)
    asked = TASK.question(prompt="say 3", max_new_tokens=12)
    said = TASK.answer(adapter, asked)
    assert said.strip() and there["said"] == [said]
    again = laptop.run("export", adapter, "--ollama")
    assert again.code == 2 and "adapter-ollama is already there" in again.err
    merged = laptop.run("export", adapter, "--merged", "--output-folder", "whole")
    assert merged.code == 0 and TASK.answer(str(tmp_path / "whole"), asked) == said


def test_what_cannot_be_exported_is_said_and_leaves_nothing(
    shared_hub: HubServer, trained: Path, tmp_path: Path
) -> None:
    laptop = Laptop(tmp_path / "home", shared_hub)
    bert = str(tiny_bert.write_model(tmp_path / "bert"))
    for words, said in (
        ((str(trained / "base"), "--merged"), "is a whole model already"),
        ((str(trained / "base"), "--gguf", "q3"), "q3"),
        ((str(trained / "base"),), "say in which form: --gguf, --merged, or --ollama"),
        ((str(trained / "base"), "--merged", "--gguf"), "one form at a time"),
        ((bert, "--gguf"), "is a BertForMaskedLM; GGUF is proven here for"),
    ):
        done = laptop.run("export", *words)
        assert done.code == 2 and said in done.err, (words, done.err)
    assert {path.name for path in tmp_path.iterdir()} <= {"bert", "home", "hf"}


def test_a_template_becomes_ollamas_only_where_it_writes_the_same() -> None:
    from worker.tasks.llm.training.gguf.ollama import turns_of

    chatml, none = tiny_llm.tokenizer(), tiny_llm.tokenizer(template=None)
    turns = turns_of(chatml)
    assert turns and turns.user[0] == "<|im_start|>user\n" and turns_of(none) is None
    assert turns.system == ("<|im_start|>system\n", "<|im_end|>\n")
    counted = tiny_llm.tokenizer(template="{{ messages | length }}" + TEMPLATE)
    assert turns_of(counted) is None
    unsaid = "{% if messages[0]['role'] != 'system' %}Be kind.{% endif %}"
    kind = turns_of(tiny_llm.tokenizer(template=unsaid + TEMPLATE))
    assert kind and kind.unsaid == "Be kind."
    refuses = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
    without = turns_of(tiny_llm.tokenizer(template=refuses + TEMPLATE))
    assert without and without.system is None and ".System" not in without.template()
