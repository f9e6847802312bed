"""Which models can be trained to tag words. Light."""

from __future__ import annotations

_KINDS = """
albert apertus arcee bert big_bird bloom bros camembert convbert data2vec-text deberta deberta-v2
deepseek_v3 diffllama distilbert electra ernie eurobert exaone4 falcon fnet funnel gemma gemma2 glm
glm4 gpt-sw3 gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gte helium ibert jina_embeddings_v3 llama
longformer megatron-bert minimax ministral ministral3 mistral mixtral mobilebert modernbert mpnet
mra mt5 nemotron nomic_bert nystromformer persimmon phi phi3 qwen2 qwen2_moe qwen3 qwen3_5 qwen3_moe
qwen3_next rembert roberta roberta-prelayernorm roformer seed_oss smollm3 squeezebert stablelm
starcoder2 t5 t5gemma umt5 xlm-roberta xlm-roberta-xl xlnet xmod yoso
"""
KINDS = frozenset(_KINDS.split())
"""Kinds that transformers (5.23) loads with a head for each word, and whose tokenizers tell where
in a text a token is."""
