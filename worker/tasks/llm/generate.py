"""Answers a prompt with a trained model.

The model may be whole or an adapter, on the Hub or in a folder. One answer, greedy, on the best
device here; serving is another matter.
"""

from __future__ import annotations

from contextlib import suppress


def answer(
    model: str, prompt: str, max_new_tokens: int = 128, *, trust_remote_code: bool = False
) -> str:
    """Return the model's answer to `prompt`, at most `max_new_tokens` tokens long.

    A model with a chat template is asked in a conversation, any other goes on with the text.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    code = {"trust_remote_code": trust_remote_code}
    tokenizer = AutoTokenizer.from_pretrained(model, **code)
    net = AutoModelForCausalLM.from_pretrained(model, dtype="auto", device_map=None, **code).eval()
    net.to("cuda" if torch.cuda.is_available() else "cpu")
    with suppress(OSError):  # transformers takes an adapter's from its base model
        net.generation_config = GenerationConfig.from_pretrained(model)
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    else:
        text = prompt
    inputs = tokenizer(
        text, return_tensors="pt", add_special_tokens=not tokenizer.chat_template
    ).to(net.device)
    with torch.inference_mode():
        out = net.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        )
    said: str = tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return said.strip()
