"""Which models can be trained to find answers. Light."""

from __future__ import annotations

_KINDS = """
albert arcee bart bert big_bird bloom camembert convbert data2vec-text deberta deberta-v2 diffllama
distilbert electra ernie exaone4 falcon fnet funnel gpt2 gpt_neo gpt_neox gptj ibert
jina_embeddings_v3 led llama longformer mbart megatron-bert minimax ministral ministral3 mistral
mixtral mobilebert modernbert mpnet mra mt5 mvp nemotron nystromformer opt qwen2 qwen2_moe qwen3
qwen3_moe qwen3_next rembert roberta roberta-prelayernorm roformer seed_oss smollm3 splinter
squeezebert t5 umt5 xlm-roberta xlm-roberta-xl xlnet xmod yoso
"""
KINDS = frozenset(_KINDS.split())
"""Kinds that transformers (5.23) loads with a head for answers, and whose tokenizers tell where in
a text a token is."""
