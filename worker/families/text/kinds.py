"""Which models transformers (5.23) loads as classifiers of texts, by their `config.json`. Light."""

from __future__ import annotations

from collections.abc import Mapping

_SEQUENCES = """
albert arcee axk1 axk2 bart bert big_bird bigbird_pegasus biogpt bloom camembert cohere_compass_text
convbert ctrl data2vec-text deberta deberta-v2 deepseek_v2 deepseek_v3 diffllama distilbert doge
electra ernie esm eurobert exaone4 falcon flaubert fnet funnel gemma gemma2 gemma3_text glm glm4
gpt-sw3 gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gptj gte helium hunyuan_v1_dense hunyuan_v1_moe
ibert jamba jetmoe jina_embeddings_v3 llama longformer luke mbart megatron-bert minicpm3 minimax
ministral ministral3 mistral mistral4 mixtral mobilebert modernbert modernbert-decoder mpnet mpt mra
mt5 mvp nemotron nomic_bert nystromformer olmo olmo2 olmo3 openai-gpt opt persimmon phi phi3 phimoe
plbart qwen2 qwen2_moe qwen3 qwen3_5_text qwen3_moe qwen3_next rembert roberta roberta-prelayernorm
roc_bert roformer seed_oss smollm3 squeezebert stablelm starcoder2 t5 t5gemma t5gemma2 umt5 xlm
xlm-roberta xlm-roberta-xl xlnet xmod yoso zamba zamba2
"""
SEQUENCES = frozenset(_SEQUENCES.split())
"""Kinds with a head for the whole text, without those below."""

UNSUITED: Mapping[str, str] = {
    "canine": "it reads letters, and has no tokenizer with a file of its own",
    "esmc": "it reads proteins",
    "layoutlm": "it reads pages, with where each word stands",
    "layoutlmv2": "it reads pages, with where each word stands",
    "layoutlmv3": "it reads pages, with where each word stands",
    "lilt": "it reads pages, with where each word stands",
    "markuplm": "it reads web pages as trees",
    "modernvbert": "it reads pictures too",
    "ultravbert": "it reads pictures too",
    "perceiver": "it reads bytes",
    "reformer": "it reads texts of one length only",
    "tapas": "it reads tables",
    "gemma3": "it reads pictures too",
    "qwen3_5": "it reads pictures too",
    "ultrabert": "it is too new to have been tried",
}
"""Kinds that transformers loads as such too, and why they are not trained here."""

ENCODER = "google-bert/bert-base-uncased"
"""What to type where a model does not do."""
